"""How a generation may end: the sentences that users read, and what a provider's end amounts to."""

from __future__ import annotations

from dataclasses import replace

from django.utils.translation import gettext_noop

from conversations.journal import Ending
from conversations.models import Generation
from conversations.providers.base import Finished, ProviderError
from conversations.providers.errors import FAILURES

NO_MODEL = Ending(
    Generation.Status.FAILED,
    error_code="no_model",
    error_message=gettext_noop("The model of this conversation is no longer available. Choose another one and retry."),
)
RESTARTED = Ending(
    Generation.Status.INTERRUPTED,
    error_code="restarted",
    error_message=gettext_noop(
        "The server was restarted while this answer was being written. What had arrived is kept."
    ),
)
NEVER_STARTED = Ending(
    Generation.Status.FAILED,
    error_code="not_started",
    error_message=gettext_noop("No process was free to answer in time. Retry in a moment."),
)
UNEXPECTED = Ending(
    Generation.Status.FAILED,
    error_code="internal",
    error_message=gettext_noop(
        "Something went wrong on our side. What had arrived is kept; retry, or tell who runs this server."
    ),
)
BROKEN_OFF = Ending(
    Generation.Status.INTERRUPTED,
    error_code="cut",
    error_message=gettext_noop("The answer broke off. What had arrived is kept: continue, or retry."),
)
RESTARTED_TOO_OFTEN = Ending(
    Generation.Status.FAILED,
    error_code="restarted",
    error_message=gettext_noop("The server was restarted several times before this answer began. Retry in a moment."),
)
TOO_LONG = Ending(
    Generation.Status.FAILED, error_code="context_too_long", error_message=FAILURES["context_too_long"][0]
)
NOT_SENT = gettext_noop("Your message was not sent to the model: it is against a rule of this server.")
ENDED_BY_RULE = gettext_noop("This answer was ended here: it is against a rule of this server.")
STOPPED = Ending(Generation.Status.STOPPED)
HANDED_BACK = Ending("")  # no end at all: another writer goes on


def completed(finished: Finished) -> Ending:
    """Return the end of an answer that its model has finished."""
    usage = finished.usage
    return Ending(
        Generation.Status.COMPLETED,
        finish_reason=finished.finish_reason,
        model_name=finished.model_name[:200],
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
    )


def broken(error: ProviderError, *, written: bool) -> Ending:
    """Return the end of an answer whose provider failed; `written`: something of it is durable."""
    status = Generation.Status.INTERRUPTED if written else Generation.Status.FAILED
    return Ending(status, error_code=error.code, error_message=error.message[:500])


def blocked(sentence: str) -> Ending:
    """Return the end of an answer that a rule does not let go on; `sentence` is the rule's own, if it has one."""
    return Ending(
        Generation.Status.COMPLETED,
        finish_reason="content_filter",
        error_code="blocked",
        error_message=sentence or ENDED_BY_RULE,
    )


def unasked(sentence: str) -> Ending:
    """Return the end of an answer that no provider was asked for: a rule does not let the question go out."""
    return replace(blocked(sentence or NOT_SENT), error_code=Generation.NOT_SENT, input_tokens=0, output_tokens=0)

"""Every way in which a provider fails, in words for users.

The words are ours alone: what a provider writes into an error may hold keys, prompts and addresses.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from http import HTTPStatus

from conversations.providers.base import ProviderError


def gettext_noop(sentence: str) -> str:
    """Mark a sentence for translation, which happens where it is shown. `make messages` knows the mark by its name."""
    return sentence


# For each code the sentence, and whether the failure is permanent.
FAILURES: dict[str, tuple[str, bool]] = {
    "unreachable": (gettext_noop("The model's service cannot be reached; check that it runs and try again."), False),
    "connect_timeout": (
        gettext_noop("The model's service did not accept a connection in time; try again in a moment."),
        False,
    ),
    "bad_address": (
        gettext_noop("The address set for this model is not valid; ask whoever runs this server to correct it."),
        True,
    ),
    "redirected": (
        gettext_noop(
            "The model's service wants to send the request elsewhere, which is refused; its address needs correcting."
        ),
        True,
    ),
    "unauthorized": (
        gettext_noop("The model's service refused the API key; ask whoever runs this server to check it."),
        True,
    ),
    "forbidden": (gettext_noop("The API key may not use this model; choose another model."), True),
    "model_not_found": (
        gettext_noop("The service does not know this model, or its address is wrong; choose another model."),
        True,
    ),
    "context_too_long": (
        gettext_noop(
            "The conversation is longer than this model can read; start a new one or choose a model with more room."
        ),
        True,
    ),
    "bad_request": (
        gettext_noop("The model's service did not accept the request; try another model or other settings."),
        True,
    ),
    "out_of_credit": (
        gettext_noop("The account at the model's service has no credit left; choose another model or top it up."),
        True,
    ),
    "rate_limited": (gettext_noop("The model's service is busy and asks to wait; try again in a moment."), False),
    "overloaded": (gettext_noop("The model's service is overloaded; try again in a moment."), False),
    "unavailable": (
        gettext_noop(
            "This model's service has failed several times and is left alone for a moment; "
            "try again soon or choose another model."
        ),
        False,
    ),
    "server_error": (gettext_noop("The model's service reported an error of its own; try again in a moment."), False),
    "not_a_stream": (
        gettext_noop(
            "The address set for this model answered with something other than a model's answer; it needs correcting."
        ),
        True,
    ),
    "first_token_timeout": (gettext_noop("The model did not begin to answer in time; try again."), False),
    "idle_timeout": (
        gettext_noop("The model stopped sending in the middle of its answer; continue or try again."),
        False,
    ),
    "total_timeout": (gettext_noop("The answer took longer than allowed and was ended; continue or try again."), False),
    "cut": (gettext_noop("The connection to the model's service broke; continue or try again."), False),
    "ended_early": (gettext_noop("The answer ended before the model had finished; continue or try again."), False),
    "stream_error": (
        gettext_noop("The model's service reported an error while answering; continue or try again."),
        False,
    ),
}

_STATUS_CODES = {
    401: "unauthorized",
    402: "out_of_credit",
    403: "forbidden",
    404: "model_not_found",
    408: "server_error",
    413: "context_too_long",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}
_TOO_LONG = (
    "context_length",
    "context length",
    "context size",
    "context window",
    "exceed_context",
    "maximum context",
    "too many tokens",
    "too many input tokens",
    "prompt is too long",
    "input is too long",
)
# "maximum context length is 8192 tokens", "the available context size (4096 tokens)", "n_ctx": 4096
_WINDOW = re.compile(
    r"(?:context (?:length|size|window)(?: of| is)?(?: only)? ?\(?|\"n_ctx\": ?)([0-9][0-9,]{0,9})\b", re.I
)
LEAST_WINDOW = 256
_NO_CREDIT = ("insufficient_quota", "billing_hard_limit", "credit balance")


def failure(
    code: str, *, interrupted: bool = False, retry_after_seconds: float | None = None, detail: str = ""
) -> ProviderError:
    """The error for `code`; raises KeyError for a code that is not in FAILURES."""
    message, permanent = FAILURES[code]
    if retry_after_seconds is not None:
        message = f"The model's service is busy and asks to wait {duration(retry_after_seconds)}; try again then."
    return ProviderError(
        code,
        message,
        permanent=permanent,
        retry_after_seconds=retry_after_seconds,
        interrupted=interrupted,
        detail=detail,
    )


def is_too_long(words: str) -> bool:
    """Whether a service says, in its own words, that the conversation does not fit into the model's window."""
    lowered = words.lower()
    return any(word in lowered for word in _TOO_LONG)


def told_window(words: str) -> int | None:
    """How many tokens a service says that its model reads at once; None when that cannot be read or cannot be true."""
    found = _WINDOW.search(words)
    tokens = int(found[1].replace(",", "")) if found else 0
    return tokens if tokens >= LEAST_WINDOW else None


def status_failure(status: int, body: str, retry_after_seconds: float | None) -> ProviderError:
    """The error for an HTTP answer other than 200; `body` (its beginning) is looked at, never passed on."""
    detail = f"HTTP {status}"
    lowered = body.lower()
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return failure("redirected", detail=detail)
    if status == HTTPStatus.TOO_MANY_REQUESTS and any(word in lowered for word in _NO_CREDIT):
        return failure("out_of_credit", detail=detail)
    if status in (400, 413, 422, 500) and is_too_long(lowered):  # 500: llama.cpp's older servers
        error = failure("context_too_long", detail=detail)
        error.window_tokens = told_window(lowered)
        return error
    other = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "bad_request"
    code = _STATUS_CODES.get(status, other)
    wait = retry_after_seconds if code in ("rate_limited", "overloaded") else None
    return failure(code, retry_after_seconds=wait, detail=detail)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After` (RFC 9110 10.2.3: seconds or a date); None if unusable."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            seconds = _seconds(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    # NaN compares false; a day is more than anyone waits for and keeps the sentence sane.
    return min(seconds, 86_400.0) if seconds >= 0 else None


def _seconds(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())


def duration(seconds: float) -> str:
    """`seconds` for people: "2 seconds", "5 minutes", "2 hours"; rounded up, so that nobody comes too early."""
    for size, name in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds > size or size == 1:
            count = max(1, -int(-seconds // size))
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    raise AssertionError

"""Every way in which a provider fails, in words for users.

The words are ours alone: what a provider writes into an error may hold keys, prompts and addresses.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from http import HTTPStatus

from conversations.providers.base import ProviderError

# For each code the sentence, and whether the failure is permanent.
FAILURES: dict[str, tuple[str, bool]] = {
    "unreachable": ("The model's service cannot be reached; check that it runs and try again.", False),
    "connect_timeout": ("The model's service did not accept a connection in time; try again in a moment.", False),
    "bad_address": ("The address set for this model is not valid; ask whoever runs this server to correct it.", True),
    "redirected": (
        "The model's service wants to send the request elsewhere, which is refused; its address needs correcting.",
        True,
    ),
    "unauthorized": (
        "The model's service refused the API key; ask whoever runs this server to check it.",
        True,
    ),
    "forbidden": ("The API key may not use this model; choose another model.", True),
    "model_not_found": (
        "The service does not know this model, or its address is wrong; choose another model.",
        True,
    ),
    "context_too_long": (
        "The conversation is longer than this model can read; start a new one or choose a model with more room.",
        True,
    ),
    "bad_request": ("The model's service did not accept the request; try another model or other settings.", True),
    "out_of_credit": (
        "The account at the model's service has no credit left; choose another model or top it up.",
        True,
    ),
    "rate_limited": ("The model's service is busy and asks to wait; try again in a moment.", False),
    "overloaded": ("The model's service is overloaded; try again in a moment.", False),
    "server_error": ("The model's service reported an error of its own; try again in a moment.", False),
    "not_a_stream": (
        "The address set for this model answered with something other than a model's answer; it needs correcting.",
        True,
    ),
    "first_token_timeout": ("The model did not begin to answer in time; try again.", False),
    "idle_timeout": ("The model stopped sending in the middle of its answer; continue or try again.", False),
    "total_timeout": ("The answer took longer than allowed and was ended; continue or try again.", False),
    "cut": ("The connection to the model's service broke; continue or try again.", False),
    "ended_early": ("The answer ended before the model had finished; continue or try again.", False),
    "stream_error": ("The model's service reported an error while answering; continue or try again.", False),
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
_TOO_LONG = ("context_length", "context length", "maximum context", "too many tokens", "prompt is too long")
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


def status_failure(status: int, body: str, retry_after_seconds: float | None) -> ProviderError:
    """The error for an HTTP answer other than 200; `body` (its beginning) is looked at, never passed on."""
    detail = f"HTTP {status}"
    lowered = body.lower()
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return failure("redirected", detail=detail)
    if status == HTTPStatus.TOO_MANY_REQUESTS and any(word in lowered for word in _NO_CREDIT):
        return failure("out_of_credit", detail=detail)
    if status in (400, 422) and any(word in lowered for word in _TOO_LONG):
        return failure("context_too_long", detail=detail)
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

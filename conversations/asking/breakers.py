"""Circuit breakers: a service that keeps failing is left alone for a while, and nobody waits for its deadlines.

There is one breaker for each address of a service. Each process counts failures in a row by itself; whether the breaker
is open is a row in the database, which all processes read and which is written only when it changes. When its time is
over one request of all processes goes through as a probe, and decides.

Only what happens before the first word counts: a service that has begun to answer is there. A stop by the user, a
refusal of the request (4xx) and a content filter say nothing against a service. The built-in demo has no breaker.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import Enum

from django.conf import settings

from conversations import audit
from conversations.models import Breaker
from conversations.providers.base import Event, Finished, ProviderError, ReasoningDelta, TextDelta
from conversations.threads import DatabaseThreads

logger = logging.getLogger(__name__)

LONGEST_SECONDS = 600.0
PROBE_GRACE_SECONDS = 5.0
TRIPPING = {
    "unreachable",
    "connect_timeout",
    "overloaded",
    "server_error",
    "first_token_timeout",
    "cut",
    "ended_early",
    "stream_error",
}

database = DatabaseThreads("breakers")
_failures: Counter[str] = Counter()  # in a row, by address
_background: set[asyncio.Task[None]] = set()


class Permit(Enum):
    """What a breaker says to a request."""

    REFUSED = "refused"
    NORMAL = "normal"
    PROBE = "probe"


def admit(base_url: str) -> Permit:
    """Ask whether a service may be asked; `watched` or `give_back` must follow a probe. Blocks on the database."""
    if base_url == "demo:":
        return Permit.NORMAL
    row = Breaker.objects.filter(base_url=base_url).first()
    if row is None or row.mode == Breaker.Mode.CLOSED:
        return Permit.NORMAL
    if row.mode == Breaker.Mode.OPEN:
        return Permit.REFUSED
    if not row.is_open:
        return Permit.NORMAL
    probing = Breaker.take_probe(base_url, settings.FIRST_TOKEN_SECONDS + PROBE_GRACE_SECONDS)
    return Permit.PROBE if probing else Permit.REFUSED


async def watched(base_url: str, permit: Permit, stream: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """Pass a provider's events on, and learn from how they begin. Raises what the provider raises."""
    known = base_url == "demo:"
    try:
        async with aclosing(stream) as events:
            async for event in events:
                if not known and isinstance(event, TextDelta | ReasoningDelta | Finished):
                    known = True
                    await _succeeded(base_url, permit)
                yield event
    except ProviderError as error:
        if not known:
            known = True
            await (_failed(base_url, permit, error.code) if _trips(error) else _succeeded(base_url, permit))
        raise
    finally:
        if not known:  # stopped: somebody else may try
            give_back(base_url, permit)


def give_back(base_url: str, permit: Permit) -> None:
    """Let somebody else be the probe, if this was to be one: the service is not asked after all."""
    if permit is Permit.PROBE:
        returning = database.call(Breaker.return_probe, base_url)
        task = asyncio.get_running_loop().create_task(returning, context=contextvars.Context())
        _background.add(task)
        task.add_done_callback(_background.discard)


def _trips(error: ProviderError) -> bool:
    return error.code in TRIPPING and not error.detail.startswith("HTTP 4")


async def _succeeded(base_url: str, permit: Permit) -> None:
    del _failures[base_url]
    if permit is Permit.PROBE:
        await database.call(_close, base_url)


async def _failed(base_url: str, permit: Permit, code: str) -> None:
    _failures[base_url] += 1
    if permit is Permit.PROBE or _failures[base_url] >= settings.BREAKER_FAILURES:
        del _failures[base_url]
        await database.call(_open, base_url, code)


def _open(base_url: str, code: str) -> None:
    if Breaker.trip(base_url, code, settings.BREAKER_SECONDS, LONGEST_SECONDS):
        logger.warning("The service at %s keeps failing (%s) and is left alone for a while", base_url, code)
        audit.record(None, "breaker.open", service=base_url, reason=code)


def _close(base_url: str) -> None:
    if Breaker.reset(base_url):
        logger.info("The service at %s answers again", base_url)
        audit.record(None, "breaker.close", service=base_url)

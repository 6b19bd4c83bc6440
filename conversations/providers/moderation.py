"""Asks a service that speaks OpenAI's `/v1/moderations` whether a text may be shown."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, cast

import httpx2

from conversations.providers.base import Deadlines, Endpoint, ProviderError
from conversations.providers.clients import Refused, load, shared_client
from conversations.providers.deadlines import Clock
from conversations.providers.errors import failure, status_failure
from conversations.providers.openai_chat import Opening, opened
from conversations.providers.reading import read_object

REST_AFTER = 3  # failures in a row
REST_SECONDS = 20.0
MOST_CATEGORIES = 20

_failures: dict[str, tuple[int, float]] = {}  # by address: how many in a row, and when the last one was


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a service says of a text; `categories` are its own names, those that it flagged."""

    flagged: bool
    categories: tuple[str, ...] = ()


async def moderate(endpoint: Endpoint, text: str, *, seconds: float, categories: Collection[str] = ()) -> Verdict:
    """Return whether a service flags a text, for one of `categories` if any are given.

    Raises ProviderError, after `seconds` at the latest; at once while a service that has failed several times in a row
    is left alone.
    """
    count, last = _failures.get(endpoint.base_url, (0, 0.0))
    if count >= REST_AFTER and time.monotonic() - last < REST_SECONDS:
        raise failure("unavailable")
    try:
        verdict = _verdict(await _asked(endpoint, text, seconds))
    except ProviderError:
        _failures[endpoint.base_url] = (count + 1, time.monotonic())
        raise
    _failures.pop(endpoint.base_url, None)
    if not categories or not verdict.flagged:
        return verdict
    counting = tuple(name for name in verdict.categories if name in categories)
    return Verdict(bool(counting), counting)


async def _asked(endpoint: Endpoint, text: str, seconds: float) -> dict[str, Any]:
    await load()
    clock = Clock(Deadlines(first_token_seconds=seconds, total_seconds=seconds))
    client = shared_client(endpoint)
    create = cast(Any, client.openai.moderations.with_streaming_response.create)
    named = {"model": endpoint.model_name} if endpoint.model_name else {}
    timeout = httpx2.Timeout(None, connect=seconds)
    opening: Opening = create(input=text, **named, extra_headers=client.headers, timeout=timeout)
    async with AsyncExitStack() as stack:
        try:
            response = await opened(stack, opening, clock)
        except Refused as refused:
            raise status_failure(refused.status, refused.body, refused.retry_after_seconds) from None
        return await read_object(response, clock)


def _verdict(answer: dict[str, Any]) -> Verdict:
    """Raises ProviderError when it is none: no answer is no consent."""
    results = answer.get("results")
    first = results[0] if isinstance(results, list) and results else None
    if not isinstance(first, dict) or not isinstance(first.get("flagged"), bool):
        raise failure("not_a_stream", detail="no results")
    found = first.get("categories")
    names = [str(name)[:50] for name, flagged in found.items() if flagged is True] if isinstance(found, dict) else []
    return Verdict(first["flagged"], tuple(names[:MOST_CATEGORIES]))

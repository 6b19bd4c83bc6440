"""From the body of an open HTTP response to events, under the clock.

The body is a stream of server-sent events, or, from servers that do not stream, one JSON object.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import anyio
import httpx2

from conversations.providers.answer import Answer
from conversations.providers.base import Event, ProviderError
from conversations.providers.deadlines import Clock
from conversations.providers.errors import failure
from conversations.providers.event_stream import EventStreamParser, Mark

MAX_JSON_BYTES = 8_000_000
LINGER_SECONDS = 3  # for usage and [DONE] behind a finish_reason
DRAIN_SECONDS = 0.05  # for the end of the body behind [DONE]

# The openai client lists the last two as errors that httpx2 lets through.
BROKEN = (httpx2.HTTPError, httpx2.StreamError, OSError, ssl.SSLError, anyio.EndOfStream)


async def read_answer(response: httpx2.Response, answer: Answer, clock: Clock) -> AsyncGenerator[Event, None]:
    """Deltas, then Finished. Raises ProviderError, after having given everything that arrived before."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type in ("text/html", "application/xhtml+xml"):
        raise failure("not_a_stream", detail=content_type)
    whole = content_type == "application/json"
    values = _whole_values(response, clock) if whole else _streamed_values(response, answer, clock)
    async with aclosing(values):
        try:
            async for value in values:
                for event in answer.take(value):
                    yield event
                if answer.full:
                    break
        except ProviderError:
            for event in answer.flush():
                yield event
            raise
    for event in answer.flush():
        yield event
    if not (whole or answer.full or answer.finish_reason):
        raise failure("ended_early")
    yield answer.finished()


async def read_object(response: httpx2.Response, clock: Clock) -> dict[str, Any]:
    """The body as one JSON object of at most MAX_JSON_BYTES; raises ProviderError."""
    data = bytearray()
    async with aclosing(response.aiter_bytes()) as body:
        while piece := await _next_piece(body, clock):
            data += piece
            if len(data) > MAX_JSON_BYTES:
                raise failure("not_a_stream", detail="too large")
    try:
        value = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise failure("not_a_stream", detail="no JSON object")
    return value


async def _whole_values(response: httpx2.Response, clock: Clock) -> AsyncGenerator[dict[str, Any], None]:
    value = await read_object(response, clock)
    if not (value.get("error") or isinstance(value.get("choices"), list)):
        raise failure("not_a_stream", detail="JSON without choices")
    yield value


async def _streamed_values(
    response: httpx2.Response, answer: Answer, clock: Clock
) -> AsyncGenerator[dict[str, Any], None]:
    """Chunks until [DONE], the end of the body, or an end of patience once the finish_reason has come."""
    parser = EventStreamParser()
    async with aclosing(response.aiter_bytes()) as body:
        while True:
            piece = await _next_or_end(body, answer, clock)
            for value in parser.feed(piece) if piece else parser.flush():
                if value is Mark.DONE:
                    await _drain(body, clock)
                    return
                if value is Mark.TOO_LONG:
                    answer.stop_here()
                    return
                yield value
            if not piece:
                break
    if not parser.seen:
        raise failure("not_a_stream", detail="no events")


async def _next_or_end(body: AsyncGenerator[bytes, None], answer: Answer, clock: Clock) -> bytes:
    if not answer.finish_reason:
        return await _next_piece(body, clock)
    clock.linger(LINGER_SECONDS)
    try:
        return await _next_piece(body, clock)
    except ProviderError:
        return b""  # nothing of the answer is missing, whatever happens to the connection now


async def _drain(body: AsyncGenerator[bytes, None], clock: Clock) -> None:
    """Read the end of the body, which is mostly there already: only then can the connection be used again."""
    clock.linger(DRAIN_SECONDS)
    with suppress(ProviderError):
        while await _next_piece(body, clock):
            pass


async def _next_piece(body: AsyncGenerator[bytes, None], clock: Clock) -> bytes:
    """The next bytes, empty at the end; raises ProviderError `cut` or the one of the clock."""
    try:
        return await clock.waiting(anext(body, b""))
    except BROKEN as error:
        raise failure("cut", detail=type(error).__name__) from None

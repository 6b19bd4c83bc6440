"""Any service that speaks OpenAI's Chat Completions: OpenAI, Ollama, vLLM, llama.cpp, LM Studio, OpenRouter, …

The openai client sends the request and hands over the raw body; lines, JSON and deadlines are ours (`reading.py`): a
chunk costs a ninth of what the client's own parsing costs, and keep-alive comments do not reset our deadlines.
Words and images; no tools.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import httpx2

from conversations.providers import payload
from conversations.providers.answer import Answer
from conversations.providers.base import ChatRequest, Deadlines, Endpoint, Event, Notice, Provider, ProviderError
from conversations.providers.clients import Refused, SharedClient, load, shared_client
from conversations.providers.deadlines import Clock
from conversations.providers.errors import duration, failure, status_failure
from conversations.providers.reading import BROKEN, read_answer, read_object

if TYPE_CHECKING:
    from openai import AsyncAPIResponse

MAX_OUTPUT_CHARACTERS = 1_000_000
MAX_RETRIES = 2
PATIENCE_SECONDS = 20  # a longer Retry-After is for the user to wait, not for us
LIST_SECONDS = 5

_RETRIED = {"unreachable", "rate_limited", "overloaded", "server_error"}
_REJECTS_USAGE = ("stream_options", "include_usage", "extra fields", "extra inputs", "unknown parameter")

Opening: TypeAlias = "AbstractAsyncContextManager[AsyncAPIResponse[Any]]"


class OpenAIChatProvider(Provider):
    """`max_output_characters` (reasoning included) is a last resort: over it an answer is ended with `length`."""

    def __init__(
        self,
        endpoint: Endpoint,
        deadlines: Deadlines | None = None,
        *,
        max_output_characters: int = MAX_OUTPUT_CHARACTERS,
    ) -> None:
        self.endpoint = endpoint
        self.deadlines = deadlines or Deadlines()
        self.max_output_characters = max_output_characters

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """See Provider. Asks again at most twice, and only before the first delta."""
        await load()
        clock = Clock(self.deadlines)
        client = shared_client(self.endpoint)
        for attempt in range(MAX_RETRIES + 1):
            try:
                async with aclosing(self._attempt(request, client, clock)) as events:
                    async for event in events:
                        yield event
                        clock.progress()
            except ProviderError as error:
                error.interrupted = clock.began
                wait = self._wait_seconds(error, attempt, clock)
                if wait is None:
                    raise
            else:
                return
            if wait >= 1:
                yield Notice(f"The model's service is busy; trying again in {duration(wait)}.", wait)
            await clock.sleep(wait)

    async def list_models(self) -> list[str]:
        await load()
        client = shared_client(self.endpoint)
        clock = Clock(Deadlines(first_token_seconds=LIST_SECONDS, total_seconds=LIST_SECONDS))
        opening = client.openai.models.with_streaming_response.list(
            extra_headers=client.headers, timeout=self._timeout()
        )
        async with AsyncExitStack() as stack:
            try:
                response = await opened(stack, opening, clock)
            except Refused as refused:
                raise status_failure(refused.status, refused.body, refused.retry_after_seconds) from None
            data = await read_object(response, clock)
        models = data.get("data") or data.get("models")
        names = [model.get("id") for model in models if isinstance(model, dict)] if isinstance(models, list) else []
        return [name for name in names if isinstance(name, str) and name]

    async def _attempt(self, request: ChatRequest, client: SharedClient, clock: Clock) -> AsyncGenerator[Event, None]:
        answer = Answer(self.endpoint.model_name, self.max_output_characters)
        async with AsyncExitStack() as stack:
            try:
                response = await self._answered(stack, request, client, clock)
            except Refused as refused:
                raise status_failure(refused.status, refused.body, refused.retry_after_seconds) from None
            async with aclosing(read_answer(response, answer, clock)) as events:
                async for event in events:
                    yield event

    async def _answered(
        self, stack: AsyncExitStack, request: ChatRequest, client: SharedClient, clock: Clock
    ) -> httpx2.Response:
        """The response, its body unread; asked once more without usage if the service does not know the wish."""
        try:
            return await opened(stack, self._opening(request, client), clock)
        except Refused as refused:
            if client.refuses_usage or refused.status not in (400, 422) or not _mentions_usage(refused.body):
                raise
        client.refuses_usage = True
        return await opened(stack, self._opening(request, client), clock)

    def _opening(self, request: ChatRequest, client: SharedClient) -> Opening:
        # The messages travel in `extra_body`: as an argument each would be matched against its type, 60 ms for 500.
        create = cast(Any, client.openai.chat.completions.with_streaming_response.create)
        return cast(
            Opening,
            create(
                model=self.endpoint.model_name,
                messages=[],
                stream=True,
                extra_body=payload.extra_body(request, self.endpoint, include_usage=not client.refuses_usage),
                extra_headers=client.headers,
                timeout=self._timeout(),
            ),
        )

    def _timeout(self) -> httpx2.Timeout:
        return httpx2.Timeout(None, connect=self.deadlines.connect_seconds)

    def _wait_seconds(self, error: ProviderError, attempt: int, clock: Clock) -> float | None:
        """How long to wait before the next attempt; None if there is none."""
        if clock.began or attempt == MAX_RETRIES or error.code not in _RETRIED:
            return None
        if error.code == "unreachable" and clock.elapsed_seconds() > self.deadlines.connect_seconds:
            return None
        backoff: float = 0.4 * 2**attempt * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, hides nothing
        wait = backoff if error.retry_after_seconds is None else error.retry_after_seconds
        return wait if wait <= min(PATIENCE_SECONDS, clock.remaining_seconds()) else None


async def opened(stack: AsyncExitStack, opening: Opening, clock: Clock) -> httpx2.Response:
    """Send the request; raises Refused for any status but 200, ProviderError for everything else that goes wrong."""
    import openai  # noqa: PLC0415 - see `clients`: it is loaded by now

    try:
        response = await clock.waiting(stack.enter_async_context(opening))
    except openai.APITimeoutError:
        raise failure("connect_timeout") from None
    except openai.APIConnectionError as error:
        cause = error.__cause__
        code = "bad_address" if isinstance(cause, httpx2.UnsupportedProtocol) else "unreachable"
        raise failure(code, detail=type(cause).__name__) from None
    except BROKEN as error:
        raise failure("unreachable", detail=type(error).__name__) from None
    return response.http_response


def _mentions_usage(body: str) -> bool:
    lowered = body.lower()
    return any(word in lowered for word in _REJECTS_USAGE)

"""What every provider looks like: plain values in, typed events out.

A provider is asked once per generation with `stream()`, and answers with `TextDelta` and `ReasoningDelta`
in order, perhaps a `Notice`, and exactly one `Finished` at the end; or it raises `ProviderError`. Nothing here knows
Django, the database or HTML: what comes out is text, unsafe and unrendered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "other"]
Prefill = Literal["", "continue_final_message", "assistant"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer: never empty, valid Unicode, without NUL."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of what the model thinks before it answers; never part of the answer itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to show while nothing arrives, as one sentence; comes only before the first delta."""

    text: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them, all >= 0; reasoning tokens are contained in the output tokens."""

    input_tokens: int
    output_tokens: int
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The model ended by itself, or reached a limit of its own or of ours (`length`).

    `usage` is None when the provider gave none, or none that can be true.
    `model_name` is the model that answered, as the provider names it.
    """

    finish_reason: FinishReason
    usage: Usage | None
    model_name: str


Event = TextDelta | ReasoningDelta | Notice | Finished


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long to wait, in seconds; four clocks that run separately, none reset by keep-alive comments.

    connect: until the provider's socket accepts us, retries included.
    first_token: from the call of `stream()` to the first delta, retries included.
    idle: between two deltas; the time a caller takes to handle a delta does not count.
    total: from the call of `stream()` to the end.
    """

    connect_seconds: float = 10
    first_token_seconds: float = 60
    idle_seconds: float = 30
    total_seconds: float = 600


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One model of one service.

    `base_url` is used as given (for most services it ends in `/v1`), or is `demo:` for the built-in model.
    `prefill` says how the service goes on with a text that it has begun: `assistant` when a trailing assistant message
    is continued, `continue_final_message` for the flag of vLLM and llama.cpp, empty when it can only be asked to.
    """

    base_url: str
    api_key: str = field(repr=False)
    model_name: str
    prefill: Prefill = ""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for a model that can see: its bytes, and which format they are in (`image/png`, …)."""

    content_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """What somebody said; `images` belong to it and come after the words."""

    role: Role
    content: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What to answer.

    `parameters` go to the provider under its own names (`temperature`, `max_tokens`, …).
    `partial` is the text that the assistant has already written: the answer goes on behind its last character.
    """

    messages: tuple[ChatMessage, ...]
    parameters: Mapping[str, float | int | str] = field(default_factory=dict)
    partial: str = ""


class ProviderError(Exception):
    """The provider did not answer, or not to the end.

    code: what happened, stable, one of `errors.FAILURES`.
    message: one sentence for users in our words, which says what happened and what to do. It never holds the
        provider's text, an address or a key; `detail` (for logs: an HTTP status or a class name) neither.
    permanent: the same request would fail again until somebody changes something.
    retry_after_seconds: how long the provider asked us to wait, if it did.
    interrupted: deltas had arrived before; they stay valid, and the answer can be continued.
    window_tokens: with `context_too_long`, what the model reads at once, if the provider said it.
    """

    def __init__(  # noqa: PLR0913 - a record of plain fields
        self,
        code: str,
        message: str,
        *,
        permanent: bool = False,
        retry_after_seconds: float | None = None,
        interrupted: bool = False,
        detail: str = "",
        window_tokens: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.permanent = permanent
        self.retry_after_seconds = retry_after_seconds
        self.interrupted = interrupted
        self.detail = detail
        self.window_tokens = window_tokens


class Provider(ABC):
    """One endpoint, ready to be asked; cheap to make, keeps no state between two calls."""

    @abstractmethod
    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Answer `request`.

        Closing the generator (`aclose`, best through `contextlib.aclosing`) or cancelling the task that reads it
        closes the provider's socket at once. Leaving a loop early without closing does not.

        Raises ProviderError.
        """

    @abstractmethod
    async def list_models(self) -> list[str]:
        """Names of the models the endpoint serves, in its order, within 5 seconds; raises ProviderError."""

"""One answer of the Chat Completions protocol: JSON objects in, typed events out.

Every field may be missing, null, of another type or a lie; what cannot be used is passed over, what holds text is kept.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from conversations.providers.base import Finished, FinishReason, ReasoningDelta, TextDelta, Usage
from conversations.providers.errors import failure, is_too_long
from conversations.providers.thinking import ThinkSplitter

MAX_TOKENS = 100_000_000  # a count above it is a mistake, not a bill
MAX_ERROR_CHARACTERS = 10_000

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_HIGH_SURROGATE = re.compile("[\ud800-\udbff]$")


class TextRepair:
    """Makes pieces of text storable: joins surrogate pairs cut in two, replaces lone halves, drops NUL."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        if text.isascii() and not self._held:
            return text.replace("\0", "") if "\0" in text else text
        text, self._held = self._held + text, ""
        if _HIGH_SURROGATE.search(text):
            text, self._held = text[:-1], text[-1]
        return text.replace("\0", "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Answer:
    """Collects one streamed answer: `take` each chunk in order, then `flush` and `finished`."""

    def __init__(self, model_name: str, max_characters: int) -> None:
        self.model_name = model_name
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self._room = max_characters
        self._thinking = ThinkSplitter()
        self._text_repair = TextRepair()
        self._reasoning_repair = TextRepair()

    def take(self, chunk: dict[str, Any]) -> list[TextDelta | ReasoningDelta]:
        """Events of one `chat.completion.chunk` (or whole `chat.completion`).

        Raises ProviderError `stream_error` or `context_too_long` when the chunk reports an error, whose own words are
        dropped.
        """
        if error := chunk.get("error"):
            too_long = is_too_long(json.dumps(error)[:MAX_ERROR_CHARACTERS])
            raise failure("context_too_long" if too_long else "stream_error", detail="error event")
        if isinstance(name := chunk.get("model"), str) and name:
            self.model_name = name[:200]
        self.usage = read_usage(chunk.get("usage")) or self.usage
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return []
        return [event for choice in choices for event in self._choice(choice)]

    def flush(self) -> list[TextDelta | ReasoningDelta]:
        """What was held back in case it went on; call once, at the end, however the stream ended."""
        return self._limited(self._thinking.flush())

    @property
    def full(self) -> bool:
        """The limit of characters is reached: the upstream may be closed, the answer ends with `length`."""
        return self._room <= 0

    def stop_here(self) -> None:
        """Take no more: the stream holds something too large to read on."""
        self._room = 0

    def finished(self) -> Finished:
        reason: FinishReason = "length" if self.full else self.finish_reason or "other"
        return Finished(reason, self.usage, self.model_name)

    def _choice(self, choice: object) -> list[TextDelta | ReasoningDelta]:
        if not isinstance(choice, dict) or (isinstance(index := choice.get("index"), int) and index != 0):
            return []
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice.get("message")  # of a whole answer; beside a delta it would say everything twice
        events = self._delta(delta) if isinstance(delta, dict) else []
        if isinstance(reason := choice.get("finish_reason"), str) and reason:
            if reason == "error":
                raise failure("stream_error", detail="finish_reason error")
            self.finish_reason = _FINISH_REASONS.get(reason, "other")
        return events

    def _delta(self, delta: dict[str, Any]) -> list[TextDelta | ReasoningDelta]:
        events: list[TextDelta | ReasoningDelta] = []
        # Some gateways send the same reasoning under both names: the first one that holds text counts.
        reasoning = _plain(delta.get("reasoning_content")) or _plain(delta.get("reasoning"))
        text = ""
        for kind, part in _parts(delta.get("content")):
            if kind == "thinking":
                reasoning += part
            else:
                text += part
        if reasoning := self._reasoning_repair.feed(reasoning):
            events.append(ReasoningDelta(reasoning))
        if text := self._text_repair.feed(text + _plain(delta.get("refusal"))):
            events += self._thinking.feed(text)
        return self._limited(events)

    def _limited(self, events: list[TextDelta | ReasoningDelta]) -> list[TextDelta | ReasoningDelta]:
        kept: list[TextDelta | ReasoningDelta] = []
        for event in events:
            if self._room > 0:
                kept.append(event if len(event.text) <= self._room else type(event)(event.text[: self._room]))
            self._room -= len(event.text)
        return kept


def _plain(value: object) -> str:
    return value if isinstance(value, str) else ""


def _parts(content: object) -> list[tuple[str, str]]:
    """`content` as (kind, text): a string, or a list of parts; a `thinking` part may hold parts again (Mistral)."""
    if isinstance(content, str):
        return [("text", content)]
    parts: list[tuple[str, str]] = []
    for part in content if isinstance(content, list) else []:
        if isinstance(part, str):
            parts.append(("text", part))
        elif isinstance(part, dict) and part.get("type") == "thinking":
            inner = part.get("thinking")
            parts.append(("thinking", inner if isinstance(inner, str) else _texts(inner)))
        elif isinstance(part, dict):
            parts.append(("text", _plain(part.get("text"))))
    return parts


def _texts(parts: object) -> str:
    return (
        "".join(_plain(part.get("text")) for part in parts if isinstance(part, dict)) if isinstance(parts, list) else ""
    )


def read_usage(value: object) -> Usage | None:
    """The provider's `usage` object; None when it is absent or cannot be true."""
    if not isinstance(value, dict):
        return None
    input_tokens, output_tokens = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if input_tokens is None or output_tokens is None:
        return None
    details = value.get("completion_tokens_details")
    reasoning = _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None
    return Usage(input_tokens, output_tokens, min(reasoning or 0, output_tokens))


def _count(value: object) -> int | None:
    plausible = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS
    return int(cast(float, value)) if plausible else None

"""A ChatRequest in the words of the Chat Completions protocol."""

from __future__ import annotations

from typing import Any

from conversations.providers.base import ChatRequest, Endpoint

# The parameters of a request may not change what the rest of this package relies on.
_RESERVED = {"model", "messages", "stream", "stream_options", "n"}
_GO_ON = (
    "Your last message was cut off. Go on exactly where it stopped, with the very next character. "
    "Do not repeat anything, do not comment, do not start again."
)


def _messages(request: ChatRequest, endpoint: Endpoint) -> list[dict[str, str]]:
    """The conversation; behind it what the assistant has begun, and, if the service knows no other way, a plea."""
    result = [{"role": message.role, "content": _encodable(message.content)} for message in request.messages]
    if request.partial:
        result.append({"role": "assistant", "content": _encodable(request.partial)})
        if not endpoint.prefill:
            result.append({"role": "user", "content": _GO_ON})
    return result


def extra_body(request: ChatRequest, endpoint: Endpoint, *, include_usage: bool) -> dict[str, Any]:
    """Everything of the request besides `model` and `stream`."""
    body: dict[str, Any] = {name: value for name, value in request.parameters.items() if name not in _RESERVED}
    body["messages"] = _messages(request, endpoint)
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    if request.partial and endpoint.prefill == "continue_final_message":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body


def _encodable(text: str) -> str:
    """Lone surrogates cannot be sent."""
    return text.encode("utf-8", "replace").decode()

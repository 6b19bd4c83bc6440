"""A ChatRequest in the words of the Chat Completions protocol."""

from __future__ import annotations

import base64
from typing import Any

from conversations.providers.base import ChatMessage, ChatRequest, Endpoint

# The parameters of a request may not change what the rest of this package relies on.
_RESERVED = {"model", "messages", "stream", "stream_options", "n"}
_GO_ON = (
    "Your last message was cut off. Go on exactly where it stopped, with the very next character. "
    "Do not repeat anything, do not comment, do not start again."
)


# OpenAI's own service has renamed it, and its newer models refuse the old name; everybody else knows the old one.
_OPENAI = "https://api.openai.com/"
_OPENAI_NAMES = {"max_tokens": "max_completion_tokens"}


def _messages(request: ChatRequest, endpoint: Endpoint) -> list[dict[str, Any]]:
    """The conversation; behind it what the assistant has begun, and, if the service knows no other way, a plea."""
    result = [{"role": message.role, "content": _content(message)} for message in request.messages]
    if request.partial:
        result.append({"role": "assistant", "content": _encodable(request.partial)})
        if not endpoint.prefill:
            result.append({"role": "user", "content": _GO_ON})
    return result


def extra_body(request: ChatRequest, endpoint: Endpoint, *, include_usage: bool) -> dict[str, Any]:
    """Everything of the request besides `model` and `stream`."""
    names = _OPENAI_NAMES if endpoint.base_url.startswith(_OPENAI) else {}
    wanted = {name: value for name, value in request.parameters.items() if name not in _RESERVED}
    body: dict[str, Any] = {names.get(name, name): value for name, value in wanted.items()}
    body["messages"] = _messages(request, endpoint)
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    if request.partial and endpoint.prefill == "continue_final_message":
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body


def _content(message: ChatMessage) -> str | list[dict[str, Any]]:
    """The words alone as every service takes them; with pictures a list of parts."""
    text = _encodable(message.content)
    if not message.images:
        return text
    words = [{"type": "text", "text": text}] if text else []
    return [
        *words,
        *(
            {
                "type": "image_url",
                "image_url": {"url": f"data:{image.content_type};base64,{base64.b64encode(image.data).decode()}"},
            }
            for image in message.images
        ),
    ]


def _encodable(text: str) -> str:
    """Lone surrogates cannot be sent."""
    return text.encode("utf-8", "replace").decode()

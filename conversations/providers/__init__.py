"""Clients of the services that run models: plain values in, typed events out; no Django, no database."""

from __future__ import annotations

from conversations.providers.base import (
    ChatMessage,
    ChatRequest,
    Deadlines,
    Endpoint,
    Event,
    Finished,
    Notice,
    Provider,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    Usage,
)
from conversations.providers.clients import close_clients, load
from conversations.providers.demo import DemoProvider
from conversations.providers.openai_chat import OpenAIChatProvider

__all__ = [
    "ChatMessage",
    "ChatRequest",
    "Deadlines",
    "Endpoint",
    "Event",
    "Finished",
    "Notice",
    "Provider",
    "ProviderError",
    "ReasoningDelta",
    "TextDelta",
    "Usage",
    "close_clients",
    "load",
    "open_provider",
]


def open_provider(endpoint: Endpoint, deadlines: Deadlines | None = None) -> Provider:
    """The provider for `endpoint`: the built-in demo for `demo:`, else a service that speaks Chat Completions."""
    if endpoint.base_url.startswith("demo:"):
        return DemoProvider(deadlines)
    return OpenAIChatProvider(endpoint, deadlines)

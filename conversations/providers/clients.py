"""HTTP clients, shared by all answers of one event loop, so that connections are reused.

One client per (address, key) and loop: the first request of a new one takes tens of milliseconds, the
next ones less than one. Whoever ends a loop calls `close_clients()` in it first.

The openai package takes about a second to load: only processes that ask a service do, and by `load()`, in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import ssl
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import httpx2

from conversations.providers.base import Endpoint
from conversations.providers.errors import failure, retry_after
from conversations.providers.network import AsyncioBackend

if TYPE_CHECKING:
    from openai import AsyncOpenAI, Omit

_MAX_ERROR_BYTES = 65_536
_ERROR_BODY_SECONDS = 2
_IDLE_CONNECTIONS = 100


class Refused(Exception):
    """The service answered with a status other than 200; `body` is its beginning, for our eyes only."""

    def __init__(self, status: int, body: str, retry_after_seconds: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.retry_after_seconds = retry_after_seconds


@dataclass(slots=True)
class SharedClient:
    """An OpenAI client and what was learnt about its service."""

    openai: AsyncOpenAI
    headers: dict[str, str | Omit]
    refuses_usage: bool = False  # rejected `stream_options.include_usage` before


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], SharedClient]] = WeakKeyDictionary()


async def load() -> None:
    """Load the openai package, once, while others go on."""
    if "openai" not in sys.modules:
        await asyncio.to_thread(importlib.import_module, "openai")


def shared_client(endpoint: Endpoint) -> SharedClient:
    """The running loop's client for this address and key; raises ProviderError `bad_address`."""
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    key = (endpoint.base_url, endpoint.api_key)
    if key not in clients:
        clients[key] = _make(endpoint)
    return clients[key]


async def close_clients() -> None:
    """Close every connection of the running loop; answers in progress end as `cut`."""
    for client in _clients.pop(asyncio.get_running_loop(), {}).values():
        await client.openai.close()


def _make(endpoint: Endpoint) -> SharedClient:
    from openai import AsyncOpenAI, Omit  # noqa: PLC0415 - see the top of this file

    url = _checked(endpoint)
    http_client = httpx2.AsyncClient(
        verify=_certificates(),
        follow_redirects=False,
        # Deadlines are ours (deadlines.py): a keep-alive comment would reset the read timeout, and with a
        # limited pool the 101st stream would wait for the first to end.
        timeout=None,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=_IDLE_CONNECTIONS),
        event_hooks={"response": [_refuse]},
    )
    # httpx2 has no public way to choose it; without this everything works as well, at a higher price (a test notices).
    with contextlib.suppress(AttributeError):
        cast(Any, http_client)._transport._pool._network_backend = AsyncioBackend()
    client = AsyncOpenAI(
        api_key=endpoint.api_key or "none",
        admin_api_key="",
        base_url=url,
        max_retries=0,
        http_client=http_client,
    )
    # Compressing a stream only holds it back.
    headers: dict[str, str | Omit] = {"Accept-Encoding": "identity"}
    if not endpoint.api_key:
        headers["Authorization"] = Omit()
    if url.host != "api.openai.com":
        # The client reads OPENAI_ORG_ID and OPENAI_PROJECT_ID from the environment: no other service's business.
        headers |= {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
    return SharedClient(client, headers)


def _checked(endpoint: Endpoint) -> httpx2.URL:
    """The address, if it and the key can be used at all; raises ProviderError."""
    try:
        url = httpx2.URL(endpoint.base_url)
    except httpx2.InvalidURL:
        raise failure("bad_address") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise failure("bad_address")
    if not (endpoint.api_key.isascii() and endpoint.api_key.isprintable()):
        raise failure("unauthorized", detail="key not ASCII")  # a header cannot hold it
    return url


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Loaded once for all loops: it takes about 25 ms, in which nothing else runs."""
    return httpx2.create_ssl_context()


async def _refuse(response: httpx2.Response) -> None:
    """Raise Refused before the openai client sees an error answer: it would read a body of any length."""
    if response.status_code == HTTPStatus.OK:
        return
    body = b""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(_ERROR_BODY_SECONDS), contextlib.aclosing(response.aiter_bytes()) as pieces:
            async for data in pieces:
                body += data
                if len(body) > _MAX_ERROR_BYTES:
                    break
    raise Refused(response.status_code, body.decode("utf-8", "replace"), retry_after(response.headers))

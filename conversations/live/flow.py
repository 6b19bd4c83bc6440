"""Backpressure for servers whose `send()` does not wait.

Daphne takes whatever it is given and keeps it in memory for a client that does not read. A push producer, registered
with its request, is told when the transport's buffer is full; the stream then waits in `drain`. Under uvicorn `send()`
waits by itself, and there is nothing to register.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.http import Request
from zope.interface import implementer

# Bytes that the kernel may hold unsent before the transport counts as full: without it megabytes pass unnoticed.
UNSENT_BYTES = 16_384


@implementer(IPushProducer)
class Flow:
    """Whether the client of one response keeps up."""

    def __init__(self, request: Request | None, abort: Callable[[], None] | None = None) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._request = request
        self._abort = abort
        if request is not None:
            request.registerProducer(self, streaming=True)

    def pauseProducing(self) -> None:
        """The buffer is full."""
        self._open.clear()

    def resumeProducing(self) -> None:
        """The client has read."""
        self._open.set()

    def stopProducing(self) -> None:
        """The client has gone: whoever waits is cancelled by the disconnect."""
        self._open.set()

    async def drain(self) -> None:
        """Wait until the client can take more."""
        await self._open.wait()

    def abort(self) -> None:
        """Break the connection off: nobody reads it, and what is in its buffers would wait for ever."""
        if self._abort is not None:
            self._abort()

    def close(self) -> None:
        """Leave the response: it is about to end."""
        # Of a request whose client has gone, nothing is left to leave.
        if self._request is not None and self._request.producer is self and self._request.channel is not None:
            self._request.unregisterProducer()


def flow_of(send: Callable[..., Any]) -> Flow:
    """Return the flow of the response behind the ASGI `send` of the server, registered if that is Daphne's."""
    request = send.args[0] if isinstance(send, partial) and send.args else None
    if not isinstance(request, Request) or request.channel is None or request.channel.transport is None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)  # uvicorn's
        return Flow(None, getattr(transport, "abort", None))
    handle = request.channel.transport.getHandle()
    if hasattr(socket, "TCP_NOTSENT_LOWAT") and isinstance(handle, socket.socket):
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    return Flow(request, request.channel.transport.abortConnection)

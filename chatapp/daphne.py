"""Daphne as it is needed here: it ends in good order, and takes no request of any length, nor as slow as it likes."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from daphne.http_protocol import WebRequest
from daphne.server import Server
from django.conf import settings
from twisted.internet.defer import Deferred
from twisted.web.http import HTTPChannel

from conversations.serving.bodies import longest_body

FINISH_SECONDS = 2.0  # for requests that are being answered when the process is told to end
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class BoundedRequest(WebRequest):
    """Daphne keeps a body on disk until it is complete, and only then asks the application: too late for a limit."""

    longest = 0
    received = 0
    refused = False

    def gotLength(self, length: int | None) -> None:
        """Refuse a body that says itself that it is too long for where it goes."""
        super().gotLength(length)
        self.longest = self.channel.longest_body() if length != 0 else 0
        if (length or 0) > self.longest:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        """Refuse a body that has become too long."""
        self.received += len(data)
        if self.received > self.longest:
            self._refuse()
        if not self.refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Handle a request that was not refused."""
        if not self.refused:
            super().requestReceived(command, path, version)

    def _refuse(self) -> None:
        if not self.refused:
            self.refused = True
            self.channel.transport.write(TOO_LARGE)
            self.channel.loseConnection()


class PatientChannel(HTTPChannel):
    """A connection that must bring the head of each request in time.

    Twisted's own time-out begins anew with every byte, so that a byte now and then would hold a connection for ever.
    """

    transport: Any
    _deadline: Any = None

    def dataReceived(self, data: bytes) -> None:
        """Begin to wait with the first byte of a head."""
        if self._deadline is None and not self._handlingRequest and self.length == 0:
            self._deadline = self.callLater(settings.REQUEST_SECONDS, self._too_slow)
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:
        """End the waiting."""
        self._wait_no_more()
        super().allHeadersReceived()

    def connectionLost(self, reason: Any) -> None:
        """Leave nothing behind."""
        self._wait_no_more()
        super().connectionLost(reason)

    def longest_body(self) -> int:
        """Return how long the body of the request may be whose head has come."""
        return longest_body(unquote(self._path.partition(b"?")[0].decode("latin-1")))

    def _too_slow(self) -> None:
        self._deadline = None
        self.transport.write(TOO_SLOW)
        self.timeoutConnection()

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class DrainingServer(Server):
    """Daphne, ending in good order: its own version cancels requests, and fails when a connection has none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._ports: list[Any] = []

    def listen_success(self, port: Any) -> None:
        """Remember the port, and bound the requests that come in by it."""
        super().listen_success(port)
        self._ports.append(port)
        self.http_factory.protocol = PatientChannel
        self.http_factory.timeOut = settings.REQUEST_SECONDS
        build = self.http_factory.buildProtocol

        def build_bounded(address: Any) -> Any:
            protocol = build(address)
            protocol.requestFactory = BoundedRequest
            return protocol

        self.http_factory.buildProtocol = build_bounded

    def kill_all_applications(self) -> Deferred[Any]:
        """Take no more connections, and give requests a moment to be answered; streams end at once by themselves."""
        for port in self._ports:
            port.stopListening()
        return Deferred.fromFuture(asyncio.ensure_future(self._finish()))

    async def _finish(self) -> None:
        running = [details.get("application_instance") for details in self.connections.values()]
        pending = [application for application in running if application is not None and not application.done()]
        if pending:
            await asyncio.wait(pending, timeout=FINISH_SECONDS)
        for application in pending:
            application.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

"""A service that speaks Chat Completions on a real socket, and misbehaves on purpose.

What it does is chosen by the last user message (`[[scenario=cut-3]]`), else by the model's name (`cut-3`), else by
`ProviderServer.default_scenario`; the scenarios are in `provider_scenarios.py`. A name that ends in `x<n>`, such as
`503x1`, does so for the first n requests of that name and answers after that. Requests for a title (a system prompt
that says "title") are always answered, after `ProviderServer.title_seconds`.

In a test: the fixture `provider_server` of `provider_fixtures.py`. For a bench, by hand:
`python -m tests.provider_server --port N`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from tests.provider_exchange import Exchange
from tests.provider_scenarios import choose, moderate, play


@dataclass(slots=True)
class ReceivedRequest:
    """One request as it came in; times are `time.monotonic()`. `body` is {} if there was no JSON."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    received_at: float
    scenario: str = ""
    is_title: bool = False
    closed_at: float | None = None  # when the client closed the connection that this request came by
    _closed: threading.Event = field(default_factory=threading.Event)

    def wait_closed(self, timeout: float = 20) -> float:
        """When the client closed the connection; raises AssertionError if it does not within `timeout` seconds."""
        assert self._closed.wait(timeout), "the client did not close the connection"
        assert self.closed_at is not None
        return self.closed_at

    def mark_closed(self) -> None:
        if self.closed_at is None:
            self.closed_at = time.monotonic()
            self._closed.set()


class ProviderServer:
    """Runs in a thread of its own with a loop of its own, so that nothing a test blocks can hold it up."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.requests: list[ReceivedRequest] = []
        self.default_scenario = "fast"
        self.title_seconds = 0.0
        self.said = ""  # what the scenario of this name answers
        self.models = ["fast", "paced-50"]
        self._seen: Counter[str] = Counter()
        self._connections = 0
        self._arrived = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="provider-server", daemon=True)
        self._ready = threading.Event()
        self._stopping: asyncio.Event

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}/v1"

    def start(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the provider server did not start")
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reset(self) -> None:
        """Forget requests and settings, as if just started."""
        self.requests.clear()
        self._seen.clear()
        self.default_scenario = "fast"
        self.title_seconds = 0.0
        self.models = ["fast", "paced-50"]

    @property
    def titles(self) -> list[ReceivedRequest]:
        """The requests for titles."""
        return [request for request in self.requests if request.is_title]

    @property
    def answers(self) -> list[ReceivedRequest]:
        """The requests for answers: no titles, no lists of models."""
        asked = [request for request in self.requests if request.path == "/v1/chat/completions"]
        return [request for request in asked if request.method == "POST" and not request.is_title]

    @property
    def moderated(self) -> list[str]:
        """The texts that were to be judged."""
        return [str(request.body["input"]) for request in self.requests if request.path == "/v1/moderations"]

    def wait_answers(self, count: int, timeout: float = 20) -> list[ReceivedRequest]:
        """`answers`, as soon as there are `count` of them; raises AssertionError after `timeout` seconds."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.answers) >= count, timeout), "too few requests"
        return self.answers

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def protocol() -> asyncio.StreamReaderProtocol:
            reader = _Reader(self._loop)

            def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = self._loop.create_task(self._connection(reader, writer))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            return asyncio.StreamReaderProtocol(reader, connected, loop=self._loop)

        server = await self._loop.create_server(protocol, self.host, self.port, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections += 1
        number = self._connections
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while (request := await _read_request(reader, number)) is not None:
                    reader.requests.append(request)
                    if not await self._answer(request, reader, writer):
                        break
        finally:
            writer.close()

    async def _answer(self, request: ReceivedRequest, reader: _Reader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can be used again."""
        exchange = Exchange(writer, reader.gone, request.body)
        exchange.said = self.said
        request.is_title = exchange.is_title
        request.scenario = choose(request.body, self.default_scenario)
        nth = self._seen[request.scenario]
        self._seen[request.scenario] += 1
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        if request.is_title:
            await asyncio.sleep(self.title_seconds)
        if request.path == "/v1/models":
            listed = [{"id": model, "object": "model", "owned_by": "tests"} for model in self.models]
            await exchange.json(200, {"object": "list", "data": listed})
        elif request.path == "/v1/chat/completions" and request.method == "POST":
            await play(request.scenario, exchange, nth)
        elif request.path == "/v1/moderations":
            await moderate(exchange)
        else:
            await exchange.json(404, {"error": {"message": f"no such path {request.path}"}})
        return exchange.reusable


class _Reader(asyncio.StreamReader):
    """Notices the client's end of the connection at once, also while nobody reads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.gone = asyncio.Event()
        self.requests: list[ReceivedRequest] = []

    def feed_eof(self) -> None:
        self._mark()
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        self._mark()
        super().set_exception(exc)

    def _mark(self) -> None:
        self.gone.set()
        for request in self.requests:
            request.mark_closed()


async def _read_request(reader: asyncio.StreamReader, connection: int) -> ReceivedRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    body = json.loads(raw) if raw else {}
    return ReceivedRequest(method, path, headers, body, connection, time.monotonic())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--scenario", default="paced-50", help="for models whose name is no scenario")
    options = parser.parse_args()
    server = ProviderServer(options.host, options.port)
    server.default_scenario = options.scenario
    with server:
        print(server.base_url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()

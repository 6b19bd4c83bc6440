"""A network of the bad kind between a browser and a server: slow, losing connections, holding streams back."""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections.abc import AsyncIterator

from tests.server import free_port

PACKET_BYTES = 1_460
RETRANSMISSION_SECONDS = 0.3


class BadNetwork:
    """A TCP proxy on a port of its own that delays everything and now and then cuts a connection in the middle.

    `delay` is that of a round trip, in seconds; `loss` the share of packets that are sent again, which TCP shows as a
    pause; `rate` in bytes a second. `cut_chance` is the share of the server's packets that are lost together with their
    connection; `block` the beginning of a path whose answers are never passed on. `lose` is the number of messages
    sent whose answers are lost, with their connections, after the server had them.
    """

    def __init__(
        self, port: int, *, delay: float = 0, loss: float = 0, rate: float = math.inf, block: bytes = b"", seed: int = 1
    ) -> None:
        self.port = free_port()
        self.cuts = 0
        self.cut_chance = 0.0
        self.lose = 0
        self.block = block
        self._loss = loss
        self._rate = rate
        self._to = port
        self._delay = delay
        self._random = random.Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="bad-network", daemon=True)

    def __enter__(self) -> BadNetwork:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def cut_all(self) -> None:
        """Cut every connection there is."""
        self._loop.call_soon_threadsafe(lambda: [self._cut(writer) for writer in list(self._writers)])

    def _cut(self, writer: asyncio.StreamWriter) -> None:
        self.cuts += 1
        writer.transport.abort()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.2)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        blocked, lost = asyncio.Event(), asyncio.Event()
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, to_server}
        ways = [self._ask(reader, to_server, blocked, lost), self._answer(from_server, writer, blocked, lost)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for end in (writer, to_server):
                end.close()
            self._writers -= {writer, to_server}

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, blocked: asyncio.Event, lost: asyncio.Event
    ) -> None:
        async for data in self._late(reader, 65_536):
            if self.block and b"GET " + self.block in data and b"/stream" in data.split(b"\r\n")[0]:
                blocked.set()
            if self.lose and data.startswith(b"POST /c/") and b"/send/ " in data.split(b"\r\n")[0]:
                self.lose -= 1
                lost.set()
            writer.write(data)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, blocked: asyncio.Event, lost: asyncio.Event
    ) -> None:
        async for data in self._late(reader, PACKET_BYTES):
            if lost.is_set() or self._random.random() < self.cut_chance:
                writer.write(data[: self._random.randrange(len(data))])
                await asyncio.sleep(0.01)
                self._cut(writer)
                return
            if not blocked.is_set():
                writer.write(data)

    async def _late(self, reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
        """Yield what is read, each piece as late as it would arrive: later ones wait for one that was lost."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        reading = asyncio.ensure_future(self._read(reader, size, pieces))
        try:
            while (piece := await pieces.get())[1]:
                await asyncio.sleep(piece[0] - time.monotonic())
                yield piece[1]
        finally:
            reading.cancel()

    async def _read(self, reader: asyncio.StreamReader, size: int, pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
        due, data = 0.0, b"more"
        while data:
            try:
                data = await reader.read(size)
            except OSError:
                data = b""
            due = max(due + len(data) / self._rate, time.monotonic() + self._delay / 2)
            if self._random.random() < self._loss:
                due += RETRANSMISSION_SECONDS
            pieces.put_nowait((due, data))

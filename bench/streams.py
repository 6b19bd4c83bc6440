"""How much Stillwater adds to a stream: `python -m bench.streams --streams 100 --rate 50 --seconds 20`.

A paced provider, the server under test and this client are three processes on one machine. Measured in one run, first
for a bare relay of the same stream and then for Stillwater on a fresh SQLite database:

- first text: from the request (for Stillwater the POST of the message, then the stream) to the first visible text, one
  at a time, with a provider that answers at once;
- delay: from the moment the provider sent a token to the moment this client read it, over all streams;
- pace: tokens that arrived, of those that were sent meanwhile; less than 100 % is falling behind;
- CPU: user and system seconds of the server for each 1,000 tokens; memory: its growth for each stream.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

from bench.provider import moment
from tests.server import STREAM_URL, Client, Server, free_port

STAMP = re.compile(rb"\bq[0-9a-z]{6,10}\b")
TICKS = os.sysconf("SC_CLK_TCK")
FIRST_TEXT_ROUNDS = 30
TURNS_OF_A_CONVERSATION = 5
STARTS_PER_SECOND = 10
UNLIMITED = {"LIMIT_REQUESTS_PER_MINUTE": "0", "LIMIT_GENERATIONS": "0", "LIMIT_STREAMS": "0"}
SETTLE_SECONDS = 3
_writers: list[asyncio.StreamWriter] = []  # a writer that nobody holds closes its connection


@dataclass
class Result:
    """What one server showed."""

    name: str
    first_text_ms: list[float] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    counting: bool = False
    expected: float = 0.0
    tokens: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    memory_bytes: int = 0


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_bytes(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


@contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def provider(rate: float, tokens: int, *, plain: bool = False) -> Iterator[str]:
    port = free_port()
    more = ("--plain",) if plain else ()
    with running("-m", "bench.provider", "--port", str(port), "--rate", str(rate), "--tokens", str(tokens), *more):
        time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def relay(url: str) -> Iterator[tuple[int, int]]:
    port = free_port()
    with running("-m", "daphne", "-p", str(port), "bench.relay:application", RELAY_URL=url) as process:
        time.sleep(2)
        yield port, process.pid


@contextmanager
def stillwater(url: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory), OPENAI_BASE_URL=url, **UNLIMITED)
        server.prepare()
        server.start()
        try:
            yield server
        finally:
            server.close()


async def request(port: int, method: str, path: str, body: bytes = b"", headers: str = "") -> asyncio.StreamReader:
    """Send one request on a connection of its own; return what is read from it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    length = f"Content-Length: {len(body)}\r\nContent-Type: application/x-www-form-urlencoded\r\n" if body else ""
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}{length}Connection: close\r\n\r\n".encode()
        + body
    )
    _writers.append(writer)
    return reader


async def read_stream(reader: asyncio.StreamReader, result: Result, since: float = 0.0) -> None:
    """Note when each stamp is first seen that was sent after `since`; a tail shows the same ones again."""
    newest, rest = b"", b""
    while data := await reader.read(65_536):
        now = time.monotonic()
        seen = rest + data
        for word in STAMP.findall(seen[: len(seen) - 12]):
            if word > newest:
                newest = word
                sent = moment(word.decode())
                if result.counting and sent > since:
                    result.delays_ms.append((now - sent) * 1000)
                    result.tokens += 1
        rest = seen[-24:]


class Visitor:
    """A signed-in user of Stillwater who wastes no time."""

    def __init__(self, server: Server) -> None:
        client = Client(server)
        cookies = "; ".join(f"{name}={value}" for name, value in client.http.cookies.items())
        self.headers = f"Cookie: {cookies}\r\n"
        self.token = client.token
        self.port = server.port
        self.conversation = ""

    async def ask(self) -> str:
        """Send a message in a new conversation; return the address of its stream."""
        fields = {"csrfmiddlewaretoken": self.token, "text": "Go on.", "request_key": str(uuid.uuid4())}
        answer = await (await request(self.port, "POST", "/c/", urlencode(fields).encode(), self.headers)).read()
        location = re.search(rb"[Ll]ocation: (\S+)", answer)[1].decode()
        self.conversation = location
        page = await (await request(self.port, "GET", location, headers=self.headers)).read()
        found = STREAM_URL.search(page.decode(errors="replace"))
        return unescape(found[1]) if found else ""

    async def follow_up(self, path: str) -> bytes:
        fields = {
            "csrfmiddlewaretoken": self.token,
            "text": "Go on.",
            "request_key": str(uuid.uuid4()),
            "stop_first": "on",
        }
        headers = self.headers + "HX-Request: true\r\n"
        return await (await request(self.port, "POST", path, urlencode(fields).encode(), headers)).read()


async def first_text_of_relay(port: int, result: Result) -> None:
    for _ in range(FIRST_TEXT_ROUNDS):
        started = time.monotonic()
        reader = await request(port, "POST", "/", b"{}")
        await _until_stamp(reader)
        result.first_text_ms.append((time.monotonic() - started) * 1000)


async def _until_stamp(reader: asyncio.StreamReader) -> None:
    seen = b""
    while not STAMP.search(seen):
        data = await reader.read(65_536)
        if not data:
            raise AssertionError("the stream ended without text")
        seen += data


async def first_text_of_stillwater(server: Server, result: Result) -> None:
    """As a browser does in an open conversation: POST, and the stream that the fragment names."""
    visitor = Visitor(server)
    for number in range(FIRST_TEXT_ROUNDS):
        if number % TURNS_OF_A_CONVERSATION == 0:
            await visitor.ask()
        await asyncio.sleep(0.3)
        started = time.monotonic()
        fragment = await visitor.follow_up(f"{visitor.conversation}send/")
        if not STAMP.search(fragment):
            url = unescape(STREAM_URL.search(fragment.decode())[1])
            await _until_stamp(await request(server.port, "GET", url, headers=visitor.headers))
        result.first_text_ms.append((time.monotonic() - started) * 1000)


async def load(pids: list[int], streams: int, seconds: float, result: Result, open_stream) -> None:
    """Open the streams one after the other; when all run, measure these processes together for some seconds."""
    before = sum(map(memory_bytes, pids))

    async def one(number: int) -> None:
        await asyncio.sleep(number / STARTS_PER_SECOND)
        await read_stream(await open_stream(), result)

    reading = asyncio.gather(*(one(number) for number in range(streams)))
    await asyncio.sleep(streams / STARTS_PER_SECOND + SETTLE_SECONDS)
    cpu, started, result.counting = sum(map(cpu_seconds, pids)), time.monotonic(), True
    await asyncio.sleep(seconds)
    result.counting = False
    result.cpu_seconds, result.wall_seconds = sum(map(cpu_seconds, pids)) - cpu, time.monotonic() - started
    result.memory_bytes = (sum(map(memory_bytes, pids)) - before) // streams
    await reading


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def report(results: list[Result]) -> None:
    print(" " * 12 + "  first text  delay p50      p99   pace  CPU/1,000  one core      memory")
    for r in results:
        print(
            f"{r.name:12}{statistics.median(r.first_text_ms):9.1f} ms{percentile(r.delays_ms, 0.5):8.1f} ms"
            f"{percentile(r.delays_ms, 0.99):6.0f} ms{100 * r.tokens / r.expected:5.0f} %"
            f"{1e6 * r.cpu_seconds / r.tokens:8.1f} ms{100 * r.cpu_seconds / r.wall_seconds:8.0f} %"
            f"{r.memory_bytes / 1024:9.0f} kB"
        )


def measure(streams: int, rate: float, seconds: float, plain: bool) -> list[Result]:
    tokens = int(rate * (streams / STARTS_PER_SECOND + SETTLE_SECONDS + seconds + 2))
    relayed, ours = (Result(name, expected=streams * rate * seconds) for name in ("bare relay", "Stillwater"))
    with provider(0, 20) as url:
        with relay(url) as (port, _pid):
            asyncio.run(first_text_of_relay(port, relayed))
        with stillwater(url) as server:
            asyncio.run(first_text_of_stillwater(server, ours))
    with provider(rate, tokens, plain=plain) as url:
        with relay(url) as (port, pid):
            asyncio.run(load([pid], streams, seconds, relayed, lambda: request(port, "POST", "/", b"{}")))
        with stillwater(url) as server:
            visitor = Visitor(server)

            async def open_stream() -> asyncio.StreamReader:
                address = await visitor.ask()
                return await request(server.port, "GET", address, headers=visitor.headers)

            asyncio.run(load([server.process.pid], streams, seconds, ours, open_stream))
    return [relayed, ours]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rate", type=float, default=50, help="tokens a second of each stream")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--plain", action="store_true", help="paragraphs only: nothing but half words is held back")
    options = parser.parse_args()
    print(f"{options.streams} streams at {options.rate:g} tokens/s for {options.seconds:g} s, {os.cpu_count()} cores")
    report(measure(**vars(options)))

"""A browser tab that follows one counted answer through whatever happens, and checks every word it is shown.

It reconnects as htmx does: with its last event id, after half a second, to any server that answers, as behind a proxy.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator

import httpx2

from tests.server import Server, stream_url
from tests.viewer import Viewer

RETRY_SECONDS = 0.5


def question(words: int, speed: int = 40) -> str:
    """Ask for the words w0, w1, … at so many a second."""
    return f"Count. [[scenario=counted-{speed}]] [[length={words}]]"


def is_beginning(text: str) -> bool:
    """Whether a text is w0 w1 w2 …, the last one perhaps cut: nothing lost, nothing doubled, all in order."""
    words = text.split()
    expected = [f"w{number}" for number in range(len(words))]
    return words[:-1] == expected[:-1] and (not words or expected[-1].startswith(words[-1]))


class Tab(threading.Thread):
    """Reads the stream of one answer until its end."""

    socket_options: tuple[tuple[int, int, int], ...] = ()

    def __init__(self, cookies: str, page: str, servers: list[Server], path: str = "", server: int = 0) -> None:
        super().__init__(daemon=True)
        self.viewer = Viewer(page)
        self.running = "hx-sse:connect" in page  # else it had ended before the page came
        self.url = stream_url(page) if self.running else ""
        self.path = path  # of the conversation
        self.cookies = cookies
        self.servers = servers
        self.first_server = server
        self.wrong: list[str] = []
        self.shown: list[tuple[float, str]] = []  # when which text was shown
        self.connections = 0
        self.start()

    def run(self) -> None:
        if not self.running:
            self._check()
            return
        for number in itertools.count(self.first_server):
            if not self.servers:  # nobody is there any more
                return
            server = self.servers[number % len(self.servers)]
            with contextlib.suppress(httpx2.TransportError):
                self._read(server)
            self._check()
            if self.viewer.closed:
                return
            time.sleep(RETRY_SECONDS)

    def _read(self, server: Server) -> None:
        headers = {"Cookie": self.cookies}
        if self.viewer.last_event_id:
            headers["Last-Event-ID"] = self.viewer.last_event_id
        rest = ""
        transport = httpx2.HTTPTransport(verify=False, socket_options=self.socket_options)
        with (
            httpx2.Client(transport=transport, timeout=30) as client,
            client.stream("GET", f"{server.url}{self.url}", headers=headers) as response,
        ):
            self.connections += 1
            for piece in self.pieces(response):
                *messages, rest = (rest + piece).split("\n\n")
                for message in messages:
                    self.viewer.take(message)
                    self._check()

    def pieces(self, response: httpx2.Response) -> Iterator[str]:
        """The pieces of a response as they come."""
        return response.iter_text()

    def _check(self) -> None:
        text = self.viewer.answer()
        if self.shown and not text.startswith(self.shown[-1][1]):
            self.wrong.append(f"{self.shown[-1][1][-60:]!r} became {text[-60:]!r}")
        if not is_beginning(text):
            self.wrong.append(text[-200:])
        if not self.shown or self.shown[-1][1] != text:
            self.shown.append((time.monotonic(), text))

    def words(self) -> int:
        return len(self.shown[-1][1].split()) if self.shown else 0

    def wait_for_words(self, count: int, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while self.words() < count:
            assert time.monotonic() < until, f"only {self.words()} words after {seconds} s"
            time.sleep(0.05)

    def longest_pause(self) -> float:
        """The longest time between two texts, in seconds."""
        times = [at for at, _ in self.shown]
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)

    def finish(self, seconds: float = 60) -> str:
        """Wait for the end; return the text that is shown then. Raises AssertionError when a word was ever wrong."""
        self.join(seconds)
        assert not self.is_alive(), f"no end after {seconds} s: {self.viewer.answer()[-100:]}"
        assert not self.wrong, f"{len(self.wrong)} wrong: {self.wrong[:3]}"
        return self.viewer.answer()


def counted(words: int) -> str:
    return " ".join(f"w{number}" for number in range(words))

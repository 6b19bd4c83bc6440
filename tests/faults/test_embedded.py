"""Faults of the embedded mode: one process, SQLite, the demo model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.server import Client, Server, finished, stream_url
from tests.viewer import Viewer

SHORT_LEASE = {"LEASE_SECONDS": "2"}
ASK = "Tell me about rivers. [[speed=40]] [[length=600]]"


class Watcher(threading.Thread):
    """Reads a stream in a thread, as a browser tab does, until it ends or breaks."""

    def __init__(self, client: Client, page: str) -> None:
        super().__init__(daemon=True)
        self.viewer = Viewer(page)
        self.client = client
        self.url = stream_url(page)
        self.broke = False
        self.start()

    def run(self) -> None:
        rest = ""
        try:
            with self.client.http.stream("GET", self.url, timeout=60) as response:
                for piece in response.iter_text():
                    *messages, rest = (rest + piece).split("\n\n")
                    for message in messages:
                        self.viewer.take(message)
        except httpx2.TransportError:
            self.broke = True

    def wait_for_text(self, characters: int, seconds: float = 15) -> str:
        until = time.monotonic() + seconds
        while len(self.viewer.answer()) < characters:
            assert time.monotonic() < until, self.viewer.answer()
            time.sleep(0.02)
        return self.viewer.answer()


@pytest.fixture
def sign_in() -> Iterator[Callable[[Server], Client]]:
    """Sign in; all clients are closed at the end."""
    clients: list[Client] = []

    def sign_in(server: Server) -> Client:
        clients.append(Client(server))
        return clients[-1]

    yield sign_in
    for client in clients:
        client.close()


def start_answer(client: Client) -> tuple[str, Watcher]:
    response = client.ask(ASK)
    return response.url.path, Watcher(client, response.text)


def test_kill_loses_nothing_that_was_seen(start_server, sign_in):
    server = start_server(**SHORT_LEASE)
    client = sign_in(server)
    path, watcher = start_answer(client)
    watcher.wait_for_text(300)
    server.kill()
    watcher.join(5)
    seen = watcher.viewer.answer()
    server.start()
    client = sign_in(server)
    page = finished(client, path)
    assert Viewer(page).answer().startswith(seen)
    assert "The server was restarted while this answer was being written." in page
    assert "Continue" in page


def test_terminate_ends_streams_cleanly_and_keeps_the_partial(start_server, sign_in):
    server = start_server()
    client = sign_in(server)
    path, watcher = start_answer(client)
    watcher.wait_for_text(200)
    assert server.terminate() < 5
    watcher.join(5)
    assert not watcher.broke
    seen = watcher.viewer.answer()
    server.start()
    page = sign_in(server).http.get(path).text
    assert "hx-sse:connect" not in page
    assert Viewer(page).answer().startswith(seen)
    assert "Continue" in page


def test_an_answer_goes_on_when_its_viewer_has_gone(start_server, sign_in):
    server = start_server()
    client = sign_in(server)
    response = client.ask("A short one. [[speed=100]] [[length=120]]")
    with client.http.stream("GET", stream_url(response.text)) as stream:
        next(stream.iter_bytes())
    page = finished(client, response.url.path)
    assert len(Viewer(page).answer()) > 200
    assert "restarted" not in page
    assert "WARNING" not in server.log.read_text()


def test_a_reader_that_reconnects_all_the_time_sees_everything_once(start_server, sign_in):
    server = start_server()
    client = sign_in(server)
    response = client.ask("Reconnect. [[speed=150]] [[length=400]]")
    viewer = Viewer(response.text)
    for _ in range(400):
        headers = {"Last-Event-ID": viewer.last_event_id} if viewer.last_event_id else {}
        with client.http.stream("GET", stream_url(response.text), headers=headers) as stream:
            rest = ""
            for piece in stream.iter_text():
                *messages, rest = (rest + piece).split("\n\n")
                before = viewer.messages
                for message in messages:
                    viewer.take(message)
                if viewer.closed or viewer.messages > before:
                    break
        if viewer.closed:
            break
    page = client.http.get(response.url.path).text
    assert viewer.closed
    assert viewer.answer() == Viewer(page).answer()
    assert len(viewer.answer()) > 500

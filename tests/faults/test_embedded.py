"""Faults of the embedded mode: one process, SQLite, the demo model."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

from tests.provider_server import ProviderServer
from tests.server import Client, Server, finished, stream_url
from tests.viewer import Viewer

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


def query(server: Server, statement: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(server.environment["DATA_DIR"] + "/db.sqlite3")) as database:
        return database.execute(statement).fetchall()


def cannot_prefill(server: Server) -> None:
    """From now on the demo cannot go on from a partial answer, like most services."""
    with contextlib.closing(sqlite3.connect(server.environment["DATA_DIR"] + "/db.sqlite3")) as database:
        database.execute("UPDATE conversations_chatmodel SET prefill = ''")
        database.commit()


@pytest.mark.parametrize("how", ["kill", "terminate"])
@pytest.mark.parametrize("prefill", [True, False])
def test_the_next_start_goes_on_or_keeps_the_partial(start_server, sign_in, how, prefill):
    # The lease outlives the restart by far: the next start knows by itself that nobody writes any more.
    server = start_server(LEASE_SECONDS="15")
    client = sign_in(server)
    if not prefill:
        cannot_prefill(server)
    path, watcher = start_answer(client)
    watcher.wait_for_text(200)
    took = getattr(server, how)()
    assert how == "kill" or took < 5
    watcher.join(5)
    assert how == "kill" or not watcher.broke
    seen = watcher.viewer.answer()
    server.start()
    started = time.monotonic()
    page = finished(sign_in(server), path, 40)
    words, answer = seen.split(), Viewer(page).answer().split()
    assert answer[: len(words) - 1] == words[:-1]
    assert ("The server was restarted while this answer was being written." in page) is not prefill
    assert ("/continue/" in page) is not prefill
    if prefill:
        assert len(" ".join(answer)) > 2 * len(seen)
    else:
        assert time.monotonic() - started < 8


def test_a_request_while_it_ends_does_not_revive_the_process(start_server, sign_in):
    server = start_server(LEASE_SECONDS="15")
    client = sign_in(server)
    _, watcher = start_answer(client)
    watcher.wait_for_text(100)
    generation = "SELECT epoch, lease_expires_at <= strftime('%Y-%m-%d %H:%M:%f', 'now') FROM conversations_generation"
    with httpx2.Client(base_url=server.url) as kept, kept.stream("GET", "/drip") as held_up:
        next(held_up.iter_bytes())  # the process waits for it
        client.http.get("/healthz")
        server.signal(signal.SIGTERM)
        until = time.monotonic() + 5
        while not query(server, generation)[0][1]:
            assert time.monotonic() < until, "nothing was handed back"
            time.sleep(0.01)
        assert client.http.get("/healthz").status_code == 200  # by the connection that it has
        server.process.wait(10)
    assert query(server, generation) == [(1, 1)]


@pytest.mark.parametrize("asgi", ["daphne", "uvicorn"])
def test_a_locked_database_does_not_keep_the_process_from_ending(start_server, sign_in, asgi):
    server = start_server(asgi=asgi)
    client = sign_in(server)
    _, watcher = start_answer(client)
    watcher.wait_for_text(200)
    with contextlib.closing(sqlite3.connect(server.environment["DATA_DIR"] + "/db.sqlite3")) as locker:
        locker.execute("BEGIN IMMEDIATE")
        time.sleep(0.5)  # by now the journal waits
        assert server.terminate() < 7


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_an_answer_of_which_nothing_was_visible_starts_again(start_server, sign_in, how):
    with ProviderServer() as provider:
        server = start_server(LEASE_SECONDS="15", OPENAI_BASE_URL=provider.base_url)
        client = sign_in(server)
        response = client.ask("Slow to begin [[scenario=silence]] [[length=5]]")
        provider.wait_answers(1)
        getattr(server, how)()
        server.start()
        provider.wait_answers(2, 15)
        client = sign_in(server)
        client.post(f"{response.url.path}stop/")
        assert "Stopped" in finished(client, response.url.path)


def test_a_second_process_leaves_the_answers_of_the_first_alone(start_server, sign_in):
    server = start_server()
    client = sign_in(server)
    path, watcher = start_answer(client)
    watcher.wait_for_text(100)
    second = Server(server.log.parent)
    second.start()
    try:
        page = finished(client, path, 40)
    finally:
        second.close()
    watcher.join(10)
    assert watcher.viewer.answer() == Viewer(page).answer()
    assert "could not be written" not in server.log.read_text()
    assert "lost" not in server.log.read_text()


def test_uvicorn_ends_its_streams_when_it_is_told_to_end(start_server, sign_in):
    # By itself it would wait for them, for minutes.
    server = start_server(asgi="uvicorn")
    client = sign_in(server)
    path, watcher = start_answer(client)
    watcher.wait_for_text(100)
    assert server.terminate() < 5
    watcher.join(5)
    assert not watcher.broke
    server.start()
    words, answer = watcher.viewer.answer().split(), Viewer(finished(sign_in(server), path, 40)).answer().split()
    assert answer[: len(words) - 1] == words[:-1]
    assert len(answer) > len(words)
    assert "Traceback" not in server.log.read_text()


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


def test_a_message_that_waits_is_sent_after_a_restart(start_server, sign_in):
    server = start_server(LEASE_SECONDS="15")
    client = sign_in(server)
    response = client.ask("Tell me about rivers. [[speed=60]] [[length=200]]")
    path, watcher = response.url.path, Watcher(client, response.text)
    for name in ("Second", "Third"):
        waiting = client.ask(f"{name}. [[speed=0]] [[length=10]]", f"{path}send/")
        assert f"{name}." in waiting.text
    watcher.wait_for_text(100)
    server.kill()
    watcher.join(5)
    server.start()
    client = sign_in(server)
    until = time.monotonic() + 40
    while (page := client.http.get(path).text).count('class="message assistant"') < 3 or "hx-sse:connect" in page:
        assert time.monotonic() < until, page
        time.sleep(0.2)
    assert page.count('class="message user"') == 3
    assert page.index("rivers.") < page.index("Second.") < page.index("Third.")
    time.sleep(2.5)  # the upkeep has looked again
    assert client.http.get(path).text.count('class="message user"') == 3

"""Clients that go, vanish, do not read, send too much or come all at once; under Daphne and under uvicorn.

Counts are those that a run of all tests has time for; `STILLWATER_CROWD=1000` makes the crowds as large as that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import socket
import sqlite3
import stat
import statistics
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.cluster.tab import Tab, counted, question
from tests.combination import SERVERS
from tests.provider_server import ProviderServer
from tests.server import Client, Server, finished, stream_url
from tests.viewer import Viewer

CROWD = int(os.environ.get("STILLWATER_CROWD", "200"))
STREAM_SECONDS = 4
HEARTBEAT_SECONDS = 1
REQUEST_SECONDS = 5
FORM_BYTES = 2_621_440 + 1_000_000  # what a form without files may have
FILE_BYTES = 5_000_000  # of one file; a message has two
IMPORT_BYTES = 15_000_000


@pytest.fixture(scope="module", params=SERVERS)
def server(
    provider: ProviderServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    times = {"STREAM_SECONDS": str(STREAM_SECONDS), "HEARTBEAT_SECONDS": str(HEARTBEAT_SECONDS)}
    directory = tmp_path_factory.mktemp("server")
    times["REQUEST_SECONDS"] = str(REQUEST_SECONDS)
    places = {"OPENAI_BASE_URL": provider.base_url, "TMPDIR": str(directory)}
    sizes = {"ATTACHMENT_BYTES": str(FILE_BYTES), "ATTACHMENTS_PER_MESSAGE": "2", "IMPORT_BYTES": str(IMPORT_BYTES)}
    with Server(directory, request.param, **places, **times, **sizes) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    client = Client(server)
    yield client
    client.close()


_open: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _close_sockets() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def connect(server: Server, receive_bytes: int = 0) -> socket.socket:
    plain = socket.socket()
    _open.append(plain)
    if receive_bytes:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    plain.settimeout(30)
    plain.connect(("127.0.0.1", server.port))
    return plain


def watch(server: Server, client: Client, page: str, receive_bytes: int = 0, last_event_id: str = "") -> socket.socket:
    """A connection that has asked for the stream of the page's answer."""
    headers = f"Host: {urlsplit(server.url).netloc}\r\nCookie: {client.cookies}\r\n"
    if last_event_id:
        headers += f"Last-Event-ID: {last_event_id}\r\n"
    plain = connect(server, receive_bytes)
    plain.sendall(f"GET {stream_url(page)} HTTP/1.1\r\n{headers}\r\n".encode())
    return plain


def sockets(server: Server) -> int:
    """How many connections the server has."""
    listing = Path(f"/proc/{server.process.pid}/fd")
    found = 0
    for entry in listing.iterdir():
        with contextlib.suppress(OSError):
            found += str(entry.readlink()).startswith("socket:")
    return found


def settled_sockets(server: Server) -> int:
    """How many connections it has once those of an earlier test are gone."""
    found, before = sockets(server), -1
    while found != before:
        time.sleep(0.5)
        found, before = sockets(server), found
    return found


def wait_until(condition, seconds: float, message: str = "") -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, message
        time.sleep(0.02)
    return time.monotonic() - started


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_goes_frees_its_stream_at_once(server, client, how):
    before, log = sockets(server), server.log.read_text()
    response = client.ask(question(60, 30))
    watching = [watch(server, client, response.text) for _ in range(20)]
    for plain in watching:
        assert plain.recv(100).startswith(b"HTTP/1.1 200")
        if how == "reset":
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.close()
    wait_until(lambda: sockets(server) <= before + 1, 5, "connections are left")
    page = finished(client, response.url.path)
    assert Viewer(page).answer() == counted(60)
    assert "Traceback" not in server.log.read_text()[len(log) :]
    assert "WARNING" not in server.log.read_text()[len(log) :]


@contextlib.contextmanager
def without_messages(server: Server) -> Iterator[None]:
    """The table of messages is not there: nothing that reads one can succeed."""
    path = Path(server.environment["DATA_DIR"]) / "db.sqlite3"
    with contextlib.closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as database:
        database.execute("PRAGMA legacy_alter_table = ON")  # leave those alone who refer to it
        database.execute("ALTER TABLE conversations_message RENAME TO conversations_gone")
        try:
            yield
        finally:
            database.execute("ALTER TABLE conversations_gone RENAME TO conversations_message")


def test_an_exception_ends_its_own_response_and_nothing_else(server, client):
    response = client.ask(question(5, 100))
    finished(client, response.url.path)
    log, before = server.log.stat().st_size, sockets(server)
    with without_messages(server):
        started = time.monotonic()
        plain = watch(server, client, response.text)  # after the start: the headers go out at once
        data = bytearray()
        while not data.endswith(b"0\r\n\r\n") and (piece := plain.recv(65_536)):
            data += piece
        assert data.startswith(b"HTTP/1.1 200")
        assert data.endswith(b"0\r\n\r\n")
        assert b"event: done" not in data  # the client comes back
        assert time.monotonic() - started < 3
        assert server.log.read_text()[log:].count("A request ended in an exception") == 1
        page = client.http.get(response.url.path)  # before the start
        assert page.status_code == 503
        assert "Traceback" not in page.text
    plain.close()
    again = client.ask(question(60, 30))
    for _ in range(20):
        watch(server, client, again.text).close()
    wait_until(lambda: sockets(server) <= before + 2, 10, "who goes is not noticed any more")
    assert Viewer(finished(client, again.url.path)).answer() == counted(60)


def test_clients_that_do_not_read_cost_little(server, client):
    much = "Much. [[scenario=paced-1500]] [[length=6000]]"
    finished(client, client.ask(much).url.path, 60)  # what one such answer costs is not theirs
    response = client.ask(much)
    before, memory = sockets(server), server.memory_bytes()
    for _ in range(100):
        watch(server, client, response.text, receive_bytes=4096)
    wait_until(lambda: sockets(server) >= before + 100, 30)
    finished(client, response.url.path, 60)
    assert server.memory_bytes() - memory < 45_000_000  # a connection costs a quarter of a megabyte, read or not


def test_a_connection_that_nobody_reads_is_freed(server, client):
    before, log = settled_sockets(server), server.log.stat().st_size
    response = client.ask("Much. [[scenario=paced-1500]] [[length=9000]]")
    for _ in range(10):
        watch(server, client, response.text, receive_bytes=4096)
    wait_until(lambda: sockets(server) >= before + 10, 30)
    # Its time, the time in which it may still read, what a connection may idle, and how long Twisted tries to end it.
    seconds = STREAM_SECONDS + 2 * HEARTBEAT_SECONDS + REQUEST_SECONDS + 15 + 10
    wait_until(lambda: sockets(server) <= before + 1, seconds, "connections are left")
    finished(client, response.url.path, 60)
    assert "Traceback" not in server.log.read_text()[log:]


SO_ATTACH_FILTER = 26  # Linux; the module `socket` has no name for it


def cut_off(plain: socket.socket) -> None:
    """Have the kernel drop each packet for this socket: nothing is read or acknowledged any more, and no FIN is sent.

    The filter is a classic BPF program of one instruction: keep 0 bytes of each packet.
    """
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    plain.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(instruction)))


@pytest.mark.parametrize(("words", "speed"), [(60, 6), (1_000, 400)])  # what fits into buffers, and what does not
def test_a_client_whose_packets_are_lost_is_let_go(server, client, words, speed):
    before, log = settled_sockets(server), server.log.stat().st_size
    response = client.ask(question(words, speed))
    tab = Tab(client.cookies, response.text, [server])
    watching = [watch(server, client, response.text) for _ in range(5)]
    for plain in watching:
        assert plain.recv(100).startswith(b"HTTP/1.1 200")
        cut_off(plain)
    # Its time, the time in which it may still read, what a connection may idle, and how long Twisted tries to end it.
    seconds = STREAM_SECONDS + 2 * HEARTBEAT_SECONDS + REQUEST_SECONDS + 15 + 10
    started = time.monotonic()
    assert tab.finish(60) == counted(words)  # for the others all goes on
    wait_until(lambda: sockets(server) <= before + 1, seconds - (time.monotonic() - started), "connections are left")
    assert Viewer(finished(client, response.url.path)).answer() == counted(words)
    assert "Traceback" not in server.log.read_text()[log:]


class SlowTab(Tab):
    """Takes 40 kB a second, and keeps little for later."""

    socket_options = ((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),)

    def pieces(self, response: httpx2.Response) -> Iterator[str]:
        for piece in response.iter_text(2_000):
            time.sleep(0.05)
            yield piece

    def _check(self) -> None:
        """Only at the end: to look at each frame of a long answer would take longer than to read it."""
        if self.viewer.closed:
            super()._check()


def test_a_slow_client_is_not_left_behind(server, client):
    words = 12_000
    response = client.ask(question(words, 4_000))
    tab = SlowTab(client.cookies, response.text, [server])
    finished(client, response.url.path, 60)
    ended = time.monotonic()
    assert tab.finish(60) == counted(words)
    assert time.monotonic() - ended < 10


def test_a_crowd_that_watches_one_answer_leaves_nothing_behind(server, client):
    before, memory = sockets(server), server.memory_bytes()
    response = client.ask(question(150, 60))
    watching = [watch(server, client, response.text) for _ in range(CROWD)]
    wait_until(lambda: sockets(server) >= before + CROWD, 30, "not all came in")
    assert Viewer(finished(client, response.url.path, 60)).answer() == counted(150)
    for plain in watching:
        data = b""
        # To the end of the answer, or of this connection's time.
        while not data.endswith(b"0\r\n\r\n") and (piece := plain.recv(65_536)):
            data += piece
        assert b"200 OK" in data
        plain.close()
    seconds = wait_until(lambda: sockets(server) <= before + 2, 10, "connections are left")
    grown = (server.memory_bytes() - memory) / 1e6
    print(f"{CROWD} watched: {before} sockets, {sockets(server)} after {seconds:.1f} s; {grown:.0f} MB more")


def test_a_crowd_that_comes_back_at_once_is_let_in(server, client):
    response = client.ask(question(2000, 20))
    started = time.monotonic()
    watching = [watch(server, client, response.text, last_event_id="1.1") for _ in range(CROWD)]
    for plain in watching:
        assert plain.recv(12) == b"HTTP/1.1 200"
    print(f"{CROWD} were let in within {time.monotonic() - started:.2f} s")  # `pytest -s` shows it
    assert time.monotonic() - started < 10
    for plain in watching:
        plain.close()
    client.post(f"{response.url.path}stop/")
    finished(client, response.url.path)


def test_half_requests_do_not_hold_up_others(server, client):
    slow = [connect(server) for _ in range(CROWD)]
    for plain in slow:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    times = []
    for _ in range(10):
        started = time.monotonic()
        assert client.http.get("/").status_code == 200
        times.append(time.monotonic() - started)
    assert statistics.median(times) < 2
    for plain in slow:
        plain.close()


@pytest.mark.parametrize("begins", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
def test_a_head_that_comes_byte_by_byte_is_not_waited_for_without_end(server, client, begins):
    plain, started = connect(server), time.monotonic()
    plain.settimeout(0.5)
    plain.sendall(begins)
    answer = b"never"
    while answer == b"never":
        assert time.monotonic() - started < 3 * REQUEST_SECONDS, "the connection is still there"
        with contextlib.suppress(TimeoutError):
            answer = plain.recv(100)
        with contextlib.suppress(ConnectionError):
            plain.sendall(b"x" if begins else b"")
    assert time.monotonic() - started > REQUEST_SECONDS - 1
    assert answer[:12] in {b"HTTP/1.1 408", b""}


def test_a_body_that_stops_coming_is_not_waited_for_without_end(server, client):
    log, plain, started = server.log.stat().st_size, connect(server), time.monotonic()
    head = f"POST /c/ HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nCookie: {client.cookies}\r\n"
    plain.sendall(f"{head}Content-Length: 1000\r\n\r\ntext=".encode())
    assert plain.recv(100)[:12] in {b"HTTP/1.1 408", b""}
    assert REQUEST_SECONDS - 1 < time.monotonic() - started < 3 * REQUEST_SECONDS
    assert "Traceback" not in server.log.read_text()[log:]


STREAM = "/generations/01a1fc31-7b60-781c-8528-3b475ef48ee7/stream"


@pytest.mark.parametrize(
    ("path", "longest", "declared"),
    [
        ("/c/", FORM_BYTES + 2 * FILE_BYTES, False),
        ("/imports/", FORM_BYTES + IMPORT_BYTES, False),
        ("/imports/", FORM_BYTES + IMPORT_BYTES, True),
        (STREAM, FORM_BYTES, False),
    ],
)
def test_a_body_that_is_too_long_is_refused_early(server, client, path, longest, declared):
    memory, before = server.memory_bytes(), disk_bytes(server)
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nCookie: {client.cookies}\r\n"
    head += "Content-Length: 150000000\r\n\r\n" if declared else "Transfer-Encoding: chunked\r\n\r\n"
    piece = b"x" * 65_536
    plain, sent, most = connect(server), 0, 0
    plain.sendall(head.encode())
    with contextlib.suppress(ConnectionError, BrokenPipeError):
        while sent < 150_000_000:
            plain.sendall(piece if declared else b"10000\r\n" + piece + b"\r\n")
            sent += len(piece)
            if sent % (50 * len(piece)) == 0:
                most = max(most, disk_bytes(server) - before)
    # What is refused, and what sockets hold; uvicorn reads on, and throws away.
    assert server.asgi == "uvicorn" or sent < longest + 20_000_000
    assert most < longest + 5_000_000
    assert server.memory_bytes() - memory < 40_000_000
    with contextlib.suppress(ConnectionError):  # the answer may be lost when there is more to read than was read
        assert plain.recv(100)[:12] in {b"HTTP/1.1 413", b"HTTP/1.1 403", b"HTTP/1.1 405", b""}
    plain.close()
    assert client.http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("path", "longest"),
    [
        ("/c/", FORM_BYTES + 2 * FILE_BYTES),
        ("/attachments/", FORM_BYTES + 2 * FILE_BYTES),
        ("/imports/", FORM_BYTES + IMPORT_BYTES),
        ("/accounts/login/", FORM_BYTES),
        ("/nowhere/", FORM_BYTES),
        (STREAM, FORM_BYTES),
    ],
)
def test_a_length_is_refused_before_anybody_is_asked_who_they_are(server, client, path, longest):
    def status(length: int) -> bytes:
        plain = connect(server)
        plain.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        plain.settimeout(1)
        try:
            return plain.recv(12)
        except TimeoutError:
            return b""  # the server waits for the body

    assert status(longest + 1) == b"HTTP/1.1 413"
    assert status(longest) in {b"", b"HTTP/1.1 405"}  # a stream is refused for its method, unread


def disk_bytes(server: Server) -> int:
    """What the server's open files hold on disk, those included that have no name any more."""
    total = 0
    for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            status = entry.stat()
            total += status.st_blocks * 512 if stat.S_ISREG(status.st_mode) else 0
    return total


def test_a_burst_comes_in_few_frames_and_holds_nobody_up(server, client):
    response = client.ask("Quick. [[scenario=burst-10000]]")
    plain, times = watch(server, client, response.text), []
    reading = threading.Thread(target=_drain, args=(plain, data := bytearray()))
    reading.start()
    while reading.is_alive():
        started = time.monotonic()
        assert client.http.get("/healthz").status_code == 200
        times.append(time.monotonic() - started)
        time.sleep(0.02)
    assert b"event: done" in data
    assert data.count(b"hx-partial") < 5_000
    assert statistics.median(times) < 0.3
    plain.close()


def _drain(plain: socket.socket, data: bytearray) -> None:
    while b"event: done" not in data and (piece := plain.recv(65_536)):
        data += piece

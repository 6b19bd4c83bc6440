"""`make cluster` itself: the whole topology behind nginx with TLS, replaced in turn, hurt, and ended."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from tests.cluster.processes import Database, RedisServer, missing
from tests.cluster.tab import Tab, counted, question
from tests.process import ROOT
from tests.provider_server import ProviderServer
from tests.server import Client, free_port, stream_url

PARTS = 6  # two web processes, two workers, beat and the proxy; nginx has a child


class MadeCluster:
    """`deploy/cluster.py` with a database, a Redis and ports of its own."""

    def __init__(self, directory: Path, provider: ProviderServer) -> None:
        self.database, self.redis = Database(), RedisServer()
        self.redis.start()
        self.port = next(port for port in iter(free_port, 0) if port < 60_000)  # its neighbours are taken as well
        self.url = f"https://127.0.0.1:{self.port}"
        self.log = directory / "cluster.log"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")} | {
            "PORT": str(self.port),
            "TLS": "1",
            "DATA_DIR": str(directory / "data"),
            "DATABASE_URL": self.database.url,
            "REDIS_URL": self.redis.url,
            "OPENAI_BASE_URL": provider.base_url,
            "TMPDIR": str(directory),
            # One user of a test does the work of many.
            "LIMIT_REQUESTS_PER_MINUTE": "0",
            "LIMIT_GENERATIONS": "0",
            "LIMIT_STREAMS": "0",
        }
        with self.log.open("wb") as log:
            command = [sys.executable, "deploy/cluster.py"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        self.wait_for("Ctrl-C stops it.")

    def wait_for(self, text: str, seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)

    @property
    def link(self) -> str:
        return re.search(r"https://\S+/sign-in/\S+", self.log.read_text())[0]

    def children(self) -> list[int]:
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in listing.read_text().split()]

    def child(self, words: str) -> int:
        """The process whose command holds these words."""
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in self.children()}
        return next(pid for pid, command in commands.items() if words in command)

    def end(self, number: int = signal.SIGINT) -> float:
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - started

    def close(self) -> None:
        if self.process.poll() is None:
            self.end()
        self.redis.stop()
        self.database.drop()


@pytest.fixture(scope="module")
def made(provider: ProviderServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeCluster]:
    if not (shutil.which("nginx") or shutil.which("caddy")):
        missing("neither nginx nor Caddy is installed")
    made = MadeCluster(tmp_path_factory.mktemp("made"), provider)
    made.database.execute("UPDATE conversations_chatmodel SET prefill = 'continue_final_message'")
    yield made
    made.close()


@pytest.fixture(scope="module")
def visitor(made: MadeCluster) -> Iterator[Client]:
    client = Client(SimpleNamespace(url=made.url), made.link)
    yield client
    client.close()


def test_browsers_are_offered_http_2(made):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", made.port), timeout=10) as plain, context.wrap_socket(plain) as secure:
        assert secure.selected_alpn_protocol() == "h2"


def test_nothing_is_held_back_on_its_way(made, visitor):
    with visitor.http.stream("GET", "/drip") as response:
        times = [time.monotonic() for _ in response.iter_raw()]
    assert len(times) >= 7
    assert times[-1] - times[0] > 0.5
    page = visitor.ask(question(60, 30)).text
    with visitor.http.stream("GET", stream_url(page), headers={"Accept-Encoding": "gzip"}) as response:
        assert "content-encoding" not in response.headers
        times = [time.monotonic() for _ in response.iter_raw()]
    assert len(times) > 20
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 1


def test_the_proxy_refuses_what_no_address_takes(made):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def status(path: str, length: int) -> bytes:
        with socket.create_connection(("127.0.0.1", made.port), timeout=2) as plain, context.wrap_socket(plain) as tls:
            tls.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode())
            try:
                return tls.recv(12)
            except TimeoutError:
                return b""  # it waits for the body

    assert status("/c/", 60_000_000) == b"HTTP/1.1 413"
    assert status("/c/", 50_000_000) == b""
    assert status("/imports/", 100_000_000) == b""
    assert status("/imports/", 110_000_000) == b"HTTP/1.1 413"


def test_a_rolling_deployment_loses_nothing_and_shows_no_error(made, visitor):
    servers = [SimpleNamespace(url=made.url)]
    tabs = []
    for _ in range(20):
        response = visitor.ask(question(400, 20))
        tabs.append(Tab(visitor.cookies, response.text, servers, response.url.path))
    for tab in tabs:
        tab.wait_for_words(3, 60)
    before = set(made.children())
    made.process.send_signal(signal.SIGHUP)
    statuses = set()
    while "Every process has been replaced." not in made.log.read_text():
        statuses.add(visitor.http.get("/").status_code)
        assert visitor.ask("Now. [[scenario=fast]] [[length=5]]").status_code == 200
        time.sleep(0.2)
    assert statuses == {200}
    assert len(before & set(made.children())) == 1  # the proxy
    for tab in tabs:
        assert tab.finish(120) == counted(400)
        assert tab.longest_pause() < 10
    rows = made.database.execute("SELECT status, count(*) FROM conversations_generation GROUP BY status")
    assert {status for status, _ in rows} == {"completed"}


def test_what_dies_is_started_again(made, visitor):
    victim = made.child("manage.py serve")
    os.kill(victim, signal.SIGKILL)
    assert visitor.http.get("/").status_code == 200  # the other one
    made.wait_for("has ended by itself (status -9) and is started again.")
    until = time.monotonic() + 30
    while len(made.children()) < PARTS:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_an_end_leaves_nothing_behind(made, visitor):
    response = visitor.ask(question(2000, 20))
    tab = Tab(visitor.cookies, response.text, [SimpleNamespace(url=made.url)], response.url.path)
    tab.wait_for_words(3, 30)
    pids = made.children()
    assert len(pids) == PARTS
    assert made.end() < 15
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
    for port in range(made.port, made.port + 3):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    assert "Traceback" not in made.log.read_text()
    row = made.database.execute("SELECT status FROM conversations_generation ORDER BY id DESC LIMIT 1")[0]
    assert row == ("in_progress",)  # the next start goes on with it
    tab.servers.clear()
    tab.join(10)
    with pytest.raises(httpx2.ConnectError):
        visitor.http.get("/")

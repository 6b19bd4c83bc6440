"""A database that is locked, a disk that is full, a migration in mid-answer, and many answers one after the other."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster.tab import Tab, counted, question
from tests.process import ROOT
from tests.provider_server import ProviderServer
from tests.server import Client, Server, finished
from tests.viewer import Viewer

ANSWERS = int(os.environ.get("STILLWATER_ANSWERS", "60"))  # 1,000 by hand
LOCK_SECONDS = 10
WRITERS = 16
ROWS = "SELECT (SELECT count(*) FROM conversations_conversation), (SELECT count(*) FROM conversations_message)"


class BoundServer(Server):
    """A server that is bound by the modes of files, also when root runs the tests."""

    def command(self) -> list[str]:
        """Root without the right to write what is read-only."""
        free = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
        return [*free, *super().command()]


@pytest.fixture(scope="module")
def server(provider: ProviderServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with BoundServer(tmp_path_factory.mktemp("server"), OPENAI_BASE_URL=provider.base_url) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.close()


def database_path(server: Server) -> Path:
    return Path(server.environment["DATA_DIR"]) / "db.sqlite3"


def database(server: Server) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(database_path(server), timeout=20, isolation_level=None))


def assert_stored(client: Client, path: str, words: int) -> None:
    assert Viewer(finished(client, path, 60)).answer() == counted(words)


def test_a_locked_database_makes_text_wait_and_loses_none(server, client):
    response = client.ask(question(300, 40))
    tab = Tab(client.cookies, response.text, [server], response.url.path)
    tab.wait_for_words(20)
    with database(server) as locker:
        locker.execute("BEGIN IMMEDIATE")
        time.sleep(1)
        before = tab.words()
        time.sleep(LOCK_SECONDS - 1)
        assert tab.words() <= before + 3  # durable before visible
        locker.execute("ROLLBACK")
    assert tab.finish(60) == counted(300)
    assert_stored(client, tab.path, 300)


def test_a_full_disk_makes_text_wait_and_harms_nothing(server, client):
    response = client.ask(question(300, 40))
    tab = Tab(client.cookies, response.text, [server], response.url.path)
    tab.wait_for_words(20)
    log, before = server.log.stat().st_size, resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    # No file may grow beyond what the log needs: as on a full disk, each write to the database fails.
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (log + 10_000, before[1]))
    try:
        time.sleep(1)
        with database(server) as counter:
            rows = counter.execute(ROWS).fetchone()
            refused = client.post("/c/", text="Anybody?")
            assert refused.status_code in {503, 507}
            assert refused.headers["Retry-After"]
            assert "Nothing can be stored at the moment" in refused.text
            assert "Traceback" not in refused.text
            assert counter.execute(ROWS).fetchone() == rows  # nothing half
        assert client.http.get("/healthz").status_code == 200
        time.sleep(1)
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)
    assert tab.finish(60) == counted(300)
    assert_stored(client, tab.path, 300)
    assert_whole(server)


def write_until(ended: threading.Event, server: Server, number: int, commits: list[int]) -> None:
    """Commit as often as possible."""
    with database(server) as connection:
        while not ended.is_set():
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO written VALUES (?)", (number,))
            connection.execute("COMMIT")
            commits[number] += 1
            time.sleep(0.01)


@contextlib.contextmanager
def writers(server: Server) -> Iterator[list[int]]:
    """Others that write to the database all the time; how often each has."""
    commits, ended = [0] * WRITERS, threading.Event()
    with database(server) as connection, ThreadPoolExecutor(WRITERS) as pool:
        connection.execute("CREATE TABLE written (number INTEGER)")
        try:
            writing = [pool.submit(write_until, ended, server, number, commits) for number in range(WRITERS)]
            yield commits
        finally:
            ended.set()
        for each in writing:
            each.result(timeout=30)
        connection.execute("DROP TABLE written")


def test_many_writers_a_long_reader_and_checkpoints_refuse_nobody(server, client):
    said = server.log.stat().st_size
    response = client.ask(question(200, 40))
    tab = Tab(client.cookies, response.text, [server], response.url.path)
    with database(server) as reader, database(server) as keeper:
        reader.execute("BEGIN")
        before = reader.execute(ROWS).fetchone()
        with writers(server) as commits:
            tab.wait_for_words(20)
            for number in range(5):
                keeper.execute("PRAGMA wal_checkpoint(PASSIVE)")
                client.ask(question(10 + number))
            assert tab.finish(60) == counted(200)
            assert min(commits) > 0
        assert reader.execute(ROWS).fetchone() == before  # it has read from one state all the time
        reader.execute("ROLLBACK")
        assert keeper.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    assert_stored(client, tab.path, 200)
    assert b"locked" not in server.log.read_bytes()[said:]
    assert_whole(server)


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[None]:
    mode = path.stat().st_mode
    path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        yield
    finally:
        path.chmod(mode)


def assert_whole(server: Server) -> None:
    with database(server) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_server_says_that_its_database_is_read_only_and_starts_when_it_is_not(server, client, what):
    path = client.ask(question(5)).url.path
    assert_stored(client, path, 5)
    server.terminate()
    place = database_path(server) if what == "file" else database_path(server).parent
    with read_only(place):
        done = subprocess.run(
            server.command(), cwd=ROOT, env=server.environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == f"CommandError: {place} cannot be written. Let the user who runs Stillwater write there.\n"
    server.start()
    assert_stored(client, path, 5)
    assert_stored(client, client.ask(question(5)).url.path, 5)
    assert_whole(server)


def test_a_migration_in_mid_answer_disturbs_nobody(server, client):
    response = client.ask(question(200, 40))
    tab = Tab(client.cookies, response.text, [server], response.url.path)
    tab.wait_for_words(5)
    server.manage("prepare")
    assert tab.finish(60) == counted(200)
    assert_stored(client, tab.path, 200)


def figures(server: Server) -> dict[str, int]:
    """What a process holds; connections are those to the database."""
    process = Path(f"/proc/{server.process.pid}")
    files = []
    for entry in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            files.append(entry.readlink().name)
    return {
        "threads": len(list((process / "task").iterdir())),
        "files": len(files),
        "connections": files.count("db.sqlite3"),
        "memory": server.memory_bytes(),
    }


def test_many_answers_leave_no_thread_and_no_file_open(server, client):
    def answers(count: int) -> dict[str, int]:
        for _ in range(count):
            finished(client, client.ask("Short. [[scenario=fast]] [[length=3]]").url.path)
        time.sleep(1)
        return figures(server)

    before = answers(15)
    after = answers(ANSWERS)
    print(f"{ANSWERS} answers: {before} -> {after}")  # `pytest -s` shows it
    assert after["threads"] <= before["threads"] + 3
    assert after["files"] <= before["files"] + 5
    assert after["connections"] <= before["connections"] + 3
    assert after["memory"] - before["memory"] < 40_000_000

"""A database that falls silent: `/readyz` names it alone, however often it is asked."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.cluster.processes import Database, RedisServer
from tests.process import ROOT

PROBES = """
import asyncio, json, os, sys
import django
django.setup()
from conversations.serving import health

async def main():
    reports = [*await asyncio.gather(health.report(), health.report())]
    print("whole", flush=True)
    sys.stdin.readline()
    reports += [await health.report() for _ in range(5)]
    print(json.dumps(reports), flush=True)
    os._exit(0)

asyncio.run(main())
"""


class Wire:
    """What lies between a process and a server; once it is silent, nothing comes through and nobody is told."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._open = threading.Event()
        self._open.set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent(self) -> None:
        self._open.clear()

    def close(self) -> None:
        for one in (self._listening, *self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listening.accept()[0]
                far = socket.create_connection(self._server)
                self._sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self._open.wait()
                target.sendall(piece)


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database()
    yield database
    database.drop()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.stop()


def through(wire: Wire, url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc="@".join([*parts.netloc.split("@")[:-1], wire.address])).geturl()


def test_a_database_that_falls_silent_is_asked_once_and_blamed_alone(database, redis, tmp_path: Path):
    url = urlsplit(database.url)
    wire = Wire(url.hostname, url.port or 5432)
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "chatapp.settings",
        "DATA_DIR": str(tmp_path),
        "ENV_FILE": str(tmp_path / "none.env"),
        "DATABASE_URL": through(wire, database.url),
        "REDIS_URL": redis.url,
        "GENERATION_BACKEND": "celery",
    }
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PROBES]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True) as probes:
        assert probes.stdout.readline() == "whole\n"
        wire.fall_silent()
        reports = json.loads(probes.communicate("\n", timeout=60)[0])
    wire.close()
    assert [(report["database"]["ok"], report["workers"].get("seen")) for report in reports[:2]] == [(True, 0)] * 2
    for report in reports[2:]:
        assert {name: part["ok"] for name, part in report.items()} == {
            "database": False,
            "bus": True,
            "broker": True,
            "workers": False,
        }
    assert {report[part]["error"] for report in reports[2:] for part in ("database", "workers")} == {"still waiting"}
    waited = [report["database"]["ms"] for report in reports[2:]]
    assert waited == sorted(waited)  # the same check: nobody asks again

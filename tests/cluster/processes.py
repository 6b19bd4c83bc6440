"""The parts of a cluster as plain processes: a Redis of one's own, a database of one's own, web servers, workers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from tests.prepared import copy_static, postgresql_template
from tests.process import Process
from tests.server import Server, free_port

QUIET = {"worker": ("--without-mingle", "--without-gossip", "--without-heartbeat"), "beat": ()}
LOCAL = "postgresql://127.0.0.1:5432/postgres"


def missing(what: str) -> None:
    """Skip on a laptop; on the machine that decides, what is missing is an error."""
    if os.environ.get("CI"):
        raise AssertionError(f"{what}; CI must have it")
    pytest.skip(what)


def postgresql_url() -> str:
    """The address of a PostgreSQL on which databases can be made."""
    url = os.environ.get("TEST_DATABASE_URL", LOCAL)
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        missing(f"no PostgreSQL at {url} (set TEST_DATABASE_URL): {error}")
    return url


class Database:
    """A migrated database of its own on the PostgreSQL of the tests."""

    def __init__(self) -> None:
        self._server = postgresql_url()
        self.name = f"stillwater_test_{uuid.uuid4().hex[:10]}"
        self.url = urlsplit(self._server)._replace(path=f"/{self.name}").geturl()
        self.execute(f"CREATE DATABASE {self.name} TEMPLATE {postgresql_template(self._server)}", self._server)

    def execute(self, query: str, url: str = "") -> list[tuple]:
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def drop(self) -> None:
        self.execute(f"DROP DATABASE {self.name} WITH (FORCE)", self._server)


class RedisServer:
    """A Redis that may be stopped, restarted, frozen and flushed."""

    def __init__(self) -> None:
        if shutil.which("redis-server") is None:
            missing("redis-server is not installed")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                if redis.Redis.from_url(self.url, socket_timeout=1).ping():
                    return
            except redis.RedisError:
                time.sleep(0.05)
        raise AssertionError("Redis did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class WorkerProcess(Process):
    """One Celery worker, or the timer."""

    def __init__(self, data_dir: Path, environment: dict[str, str], kind: str = "worker") -> None:
        super().__init__(data_dir / f"{kind}-{uuid.uuid4().hex[:6]}.log", environment)
        self.kind = kind

    def command(self) -> list[str]:
        return [sys.executable, "-m", "celery", "-A", "chatapp", self.kind, "--loglevel", "INFO", *QUIET[self.kind]]

    def works(self, said: str) -> bool:
        return "ready." in said or "beat: Starting" in said


class Cluster:
    """Web servers and workers on one database and one Redis."""

    def __init__(self, data_dir: Path, *, webs: int = 2, workers: int = 2, asgi: str = "daphne", **environment: str):
        self.database = Database()
        self.redis = RedisServer()
        self.redis.start()
        settings = {
            "DATABASE_URL": self.database.url,
            "REDIS_URL": self.redis.url,
            "GENERATION_BACKEND": "celery",
            "SECRET_KEY": uuid.uuid4().hex * 2,
            **environment,
        }
        self.webs = [Server(data_dir, asgi, **settings) for _ in range(webs)]
        self.workers = [WorkerProcess(data_dir, self.webs[0].environment) for _ in range(workers)]

    def start(self) -> None:
        copy_static(Path(self.webs[0].environment["DATA_DIR"]))
        self.webs[0].manage("prepare")
        with ThreadPoolExecutor() as threads:  # starting one takes seconds, most of them waiting
            list(threads.map(lambda process: process.start(), (*self.webs, *self.workers)))

    def log(self) -> str:
        return "\n".join(process.log.read_text() for process in (*self.webs, *self.workers))

    def close(self) -> None:
        for process in (*self.webs, *self.workers):
            process.close()
        self.redis.stop()
        self.database.drop()

"""What runs while faults happen to it, and the faults: embedded on SQLite, or a cluster of real processes.

A fault takes hold of what it disturbs: others that happen meanwhile choose something else.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import sqlite3
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import redis

from tests.cluster.processes import Cluster, WorkerProcess
from tests.provider_server import ProviderServer
from tests.server import Client, Server

SETTINGS = {"LEASE_SECONDS": "2", "POLL_SECONDS": "1", "QUEUED_SECONDS": "300"}
MODELS = {True: "goes-on", False: "cannot"}  # whether a model can continue from a partial answer
START_ATTEMPTS = 5
RETRY_SECONDS = 0.3
PATIENCE_SECONDS = 180

Part = Server | WorkerProcess
Fault = Callable[[random.Random], None]


class Playground(ABC):
    """Something that runs, and what may happen to it."""

    def __init__(self, provider: ProviderServer) -> None:
        provider.models = list(MODELS.values())
        self.faults: dict[str, Fault] = {}
        self._held: set[object] = set()
        self._lock = threading.Lock()

    @abstractmethod
    def begin(self) -> None:
        """Start all processes."""

    @abstractmethod
    def servers(self) -> list[Server]:
        """Where tabs connect."""

    @abstractmethod
    def query(self, query: str) -> list[tuple]:
        """Ask the database; the last column is JSON."""

    @abstractmethod
    def close(self) -> None:
        """End everything."""

    def start(self) -> None:
        """Start everything, and sign in."""
        self.begin()
        client = Client(self.servers()[0], self.servers()[0].new_link())  # the models are there by then
        self.cookies, self.token = client.cookies, client.token
        page = client.http.get("/").text
        client.close()
        self.query("UPDATE conversations_chatmodel SET prefill = 'continue_final_message' WHERE model_name = 'goes-on'")
        self.models = {name: re.search(rf'value="([^"]+)"[^>]*>\s*{name}', page)[1] for name in MODELS.values()}

    def ask(self, text: str, *, prefill: bool) -> httpx2.Response:
        """Send a message as a browser whose user insists: again, with the same key, until there is a page."""
        fields = {"text": text, "request_key": str(uuid.uuid4()), "model": self.models[MODELS[prefill]]}
        return self._insist("POST", "/c/", fields | {"csrfmiddlewaretoken": self.token})

    def get(self, path: str) -> httpx2.Response:
        """Load a page, from whoever answers."""
        return self._insist("GET", path, None)

    def _insist(self, method: str, path: str, data: dict[str, str] | None) -> httpx2.Response:
        until, outcomes = time.monotonic() + PATIENCE_SECONDS, list[str]()
        number = random.randrange(9)
        while True:
            url = self.servers()[number % len(self.servers())].url
            headers = {"Cookie": self.cookies}
            try:
                response = httpx2.request(method, url + path, data=data, headers=headers, timeout=15)
                while response.is_redirect:
                    path_now = response.headers["location"]
                    response = httpx2.get(url + path_now, headers=headers, timeout=15)
                if response.status_code == 200:
                    return response
                assert response.status_code in {500, 502, 503}, f"{method} {path}: {response.status_code}"
                outcomes.append(f"{url}: {response.status_code}")
            except httpx2.TransportError as error:
                outcomes.append(f"{url}: {error!r}")
            assert time.monotonic() < until, f"nobody answers {method} {path}: {outcomes} {time.strftime('%X')}"
            number += 1
            time.sleep(RETRY_SECONDS)

    def disturb(self, source: random.Random) -> str:
        """Let something happen; return what."""
        name = source.choice(sorted(self.faults))
        self.faults[name](source)
        return name

    @contextlib.contextmanager
    def held(self, parts: list, source: random.Random) -> Iterator:
        """Take hold of one of these for as long as the block lasts; None when all are held."""
        with self._lock:
            free = [part for part in parts if part not in self._held]
            part = source.choice(free) if free else None
            self._held.add(part)
        try:
            yield part
        finally:
            with self._lock:
                self._held.discard(part)

    def end(self, parts: list[Part], how: str, source: random.Random) -> None:
        """Let a process end, and come back after a while."""
        with self.held(parts, source) as part:
            if part is not None:
                getattr(part, how)()
                time.sleep(source.uniform(0, 1.5))
                restart(part)

    def freeze(self, parts: list[Part], source: random.Random) -> None:
        """Stop a process in mid-air; it wakes up and knows nothing of it."""
        with self.held(parts, source) as part:
            if part is not None:
                part.process.send_signal(signal.SIGSTOP)
                time.sleep(source.uniform(0.5, 5))
                part.process.send_signal(signal.SIGCONT)


def restart(part: Part) -> None:
    """As whatever supervises processes would: again when the start fails, for the database may be away, too."""
    for attempt in range(START_ATTEMPTS):
        try:
            return part.start()
        except AssertionError:
            if attempt == START_ATTEMPTS - 1:
                raise
            part.close()
            time.sleep(1)
    return None


class Embedded(Playground):
    """One process and SQLite; by turns under Daphne and under uvicorn."""

    def __init__(self, directory: Path, provider: ProviderServer, number: int) -> None:
        super().__init__(provider)
        asgi = ("daphne", "uvicorn")[number % 2]
        self.server = Server(directory, asgi, OPENAI_BASE_URL=provider.base_url, **SETTINGS)
        self.faults = {
            "kill": lambda source: self.end([self.server], "kill", source),
            "terminate": lambda source: self.end([self.server], "terminate", source),
            "freeze": lambda source: self.freeze([self.server], source),
            "lock database": self.lock_database,
        }

    def begin(self) -> None:
        self.server.prepare()
        self.server.start()

    def servers(self) -> list[Server]:
        return [self.server]

    def lock_database(self, source: random.Random) -> None:
        with contextlib.closing(self._connect()) as database:
            database.execute("BEGIN IMMEDIATE")
            time.sleep(source.uniform(0.3, 3))
            database.execute("ROLLBACK")

    def query(self, query: str) -> list[tuple]:
        # SQLite stores ids without hyphens, and JSON as text.
        query = re.sub(r"'([0-9a-f-]{36})'", lambda found: f"'{uuid.UUID(found[1]).hex}'", query)
        with contextlib.closing(self._connect()) as database:
            rows = database.execute(query).fetchall()
        return [(*row[:-1], json.loads(row[-1])) for row in rows]

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.server.log.parent / "db.sqlite3", timeout=20, isolation_level=None)

    def close(self) -> None:
        self.server.close()


class Clustered(Playground):
    """Two web processes, one under Daphne and one under uvicorn, two workers, PostgreSQL and Redis."""

    def __init__(self, directory: Path, provider: ProviderServer, _number: int) -> None:
        super().__init__(provider)
        self.cluster = Cluster(directory, OPENAI_BASE_URL=provider.base_url, **SETTINGS)
        self.cluster.webs[1].asgi = "uvicorn"
        webs, workers = self.cluster.webs, self.cluster.workers
        self.faults = {
            "kill worker": lambda source: self.end(workers, "kill", source),
            "terminate worker": lambda source: self.end(workers, "terminate", source),
            "freeze worker": lambda source: self.freeze(workers, source),
            "kill web": lambda source: self.end(webs, "kill", source),
            "terminate web": lambda source: self.end(webs, "terminate", source),
            "freeze web": lambda source: self.freeze(webs, source),
            "restart redis": self.restart_redis,
            "freeze redis": lambda source: self.freeze([self.cluster.redis], source),
            "flush redis": lambda _: self.flush_redis(),
            "cut database": lambda _: self.cut_database(),
        }

    def begin(self) -> None:
        self.cluster.start()

    def servers(self) -> list[Server]:
        return self.cluster.webs

    def restart_redis(self, source: random.Random) -> None:
        with self.held([self.cluster.redis], source) as server:
            if server is not None:
                server.stop()
                time.sleep(source.uniform(0, 3))
                server.start()

    def flush_redis(self) -> None:
        with contextlib.suppress(redis.RedisError):
            redis.Redis.from_url(self.cluster.redis.url, socket_timeout=1).flushall()

    def cut_database(self) -> None:
        """Every connection of every process breaks at once."""
        database = self.cluster.database
        query = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'"
        database.execute(query, database._server)

    def query(self, query: str) -> list[tuple]:
        for _ in range(START_ATTEMPTS):  # its own connection may be cut as well
            with contextlib.suppress(Exception):
                return self.cluster.database.execute(query)
        return self.cluster.database.execute(query)

    def close(self) -> None:
        self.cluster.close()

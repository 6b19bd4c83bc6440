"""The combinations that are allowed, each as real processes: what a test that takes `combination` runs on.

Embedded on SQLite or PostgreSQL, alone or with the bus over Redis; or workers, which need PostgreSQL and Redis; each
under Daphne and under uvicorn. CI runs two that together have every part; `STILLWATER_MATRIX=all` runs all ten.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tests.cluster.processes import Cluster, Database, RedisServer
from tests.server import Server


@dataclass(frozen=True)
class Combination:
    """What answers, where it keeps things, and how processes tell each other."""

    asgi: str
    database: str
    bus: str
    backend: str = "embedded"

    def __str__(self) -> str:
        return f"{self.asgi}-{self.database}-{self.bus}-{self.backend}"


ALL = [
    *(Combination(*parts) for parts in product(("daphne", "uvicorn"), ("sqlite", "postgresql"), ("process", "redis"))),
    *(Combination(asgi, "postgresql", "redis", "celery") for asgi in ("daphne", "uvicorn")),
]
FEW = [  # every server, every database, every bus, both ways to run generations
    Combination("daphne", "sqlite", "process"),
    Combination("uvicorn", "postgresql", "redis", "celery"),
]
EVERYTHING = os.environ.get("STILLWATER_MATRIX") == "all"
CHOSEN = ALL if EVERYTHING else FEW
SERVERS = ["daphne", "uvicorn"] if EVERYTHING else ["daphne"]  # where the second takes as long as the first


@contextmanager
def running(combination: Combination, directory: Path, **environment: str) -> Iterator[Server]:
    """One web process of this combination, with a worker where one is needed."""
    if combination.backend == "celery":
        cluster = Cluster(directory, webs=1, workers=1, asgi=combination.asgi, **environment)
        try:
            cluster.start()
            yield cluster.webs[0]
        finally:
            cluster.close()
        return
    database = Database() if combination.database == "postgresql" else None
    redis = RedisServer() if combination.bus == "redis" else None
    if database is not None:
        environment["DATABASE_URL"] = database.url
    if redis is not None:
        redis.start()
        environment["BUS_URL"] = redis.url
    server = Server(directory, combination.asgi, **environment)
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.close()
        if redis is not None:
            redis.stop()
        if database is not None:
            database.drop()

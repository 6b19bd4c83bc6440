"""Threads that talk to the database for coroutines.

The event loop must never wait for the database, and neither may one stream wait for another's query: Django's own
`sync_to_async` shares a single thread for that. Each `DatabaseThreads` is a small pool of threads. On SQLite a thread
keeps its connection; on PostgreSQL it takes one from the process's pool for each call, so that viewers who only wait
hold none, however many they are. Only the journal keeps one while it has something to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection, connections

P = ParamSpec("P")
R = TypeVar("R")

CLOSE_SECONDS = 0.5  # for calls to end that a database which answers ends at once


class DatabaseThreads:
    """A pool of `size` threads; a connection that has failed is dropped.

    `keeps`: the one thread keeps its connection between calls, until `release`; for what is called many times a second.
    """

    def __init__(self, name: str, size: int = 1, *, keeps: bool = False) -> None:
        self._name = name
        self._size = size
        self._keeps = keeps
        self._pool = self._start()
        self._calls: set[Future[Any]] = set()

    def _start(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._size, thread_name_prefix=self._name)

    async def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `function` in a thread and return what it returns, or raise what it raises."""

        def run() -> R:
            try:
                return function(*args, **kwargs)
            except (OperationalError, InterfaceError):
                connections.close_all()  # it may be the connection that is broken; the next call opens another
                raise
            finally:
                if not self._keeps and connection.vendor != "sqlite":
                    connections.close_all()  # back into the pool

        future = self._pool.submit(run)
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        return await asyncio.wrap_future(future)

    async def release(self) -> None:
        """Give back the connection that was kept."""
        if connection.vendor != "sqlite":
            await asyncio.get_running_loop().run_in_executor(self._pool, connections.close_all)

    async def close(self) -> None:
        """End the threads and their connections; the next call starts new ones.

        Calls that have not begun are cancelled: Python would make them before the process ends. One that the database
        does not answer is left to itself.
        """
        pool, self._pool = self._pool, self._start()
        for call in tuple(self._calls):
            call.cancel()
        closing = [asyncio.wrap_future(pool.submit(connections.close_all)) for _ in range(self._size)]
        pool.shutdown(wait=False)
        await asyncio.wait(closing, timeout=CLOSE_SECONDS)


reader = DatabaseThreads("reader", 2)
writer = DatabaseThreads("writer")  # what may wait for a lock that others hold, such as copies and titles

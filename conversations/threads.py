"""Threads that talk to the database for coroutines.

The event loop must never wait for the database, and neither may one stream wait for another's query: Django's own
`sync_to_async` shares a single thread for that. Each `DatabaseThreads` is a small pool with a connection a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections

P = ParamSpec("P")
R = TypeVar("R")


class DatabaseThreads:
    """A pool of `size` threads; each keeps its connection between calls and drops it when it has failed."""

    def __init__(self, name: str, size: int = 1) -> None:
        self._name = name
        self._size = size
        self._pool = self._start()

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

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def close(self) -> None:
        """End the threads and their connections; the next call starts new ones."""
        pool, self._pool = self._pool, self._start()
        for _ in range(self._size):
            pool.submit(connections.close_all)
        pool.shutdown()


reader = DatabaseThreads("reader", 2)

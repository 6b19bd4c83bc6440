"""A process of its own that writes audit entries in ten threads, as many processes at once would: `PROCESS ENTRIES`.

Every third transaction is rolled back, and each keeps its transaction open for a moment, so that ids are committed out
of order. Now and then a thread seals, as the upkeep does.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import django

django.setup()

from django.db import OperationalError, connections, transaction  # noqa: E402 - needs Django to be set up

from conversations import audit  # noqa: E402 - as above
from conversations.audit import chain  # noqa: E402 - as above

THREADS = 10


def until_it_is_done(do: Callable[[], object]) -> None:
    """Do it again as long as SQLite, which lets nobody in by turns, is busy for longer than its timeout."""
    while True:
        try:
            do()
        except OperationalError as error:
            if "locked" not in str(error):
                raise
        else:
            return


def write(process: int, thread: int, entries: int) -> None:
    source = random.Random(f"{process} {thread}")

    def enter(number: int) -> None:
        with transaction.atomic():
            audit.record(None, "test.write", writer=process * THREADS + thread, number=number)
            time.sleep(source.random() / 500)
            transaction.set_rollback(number % 3 == 2)

    for number in range(entries):
        until_it_is_done(partial(enter, number))
        if source.random() < 0.2:
            until_it_is_done(chain.seal)
    connections.close_all()


if __name__ == "__main__":
    process, entries = map(int, sys.argv[1:])
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(write, process, thread, entries) for thread in range(THREADS)]:
            done.result()

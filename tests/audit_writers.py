"""A process of its own that writes audit entries in ten threads, as many processes at once would: `PROCESS ENTRIES`.

Every third transaction is rolled back, and each keeps its transaction open for a moment, so that ids are committed out
of order. Now and then a thread seals, as the upkeep does.
"""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import django

django.setup()

from django.db import connections, transaction  # noqa: E402 - needs Django to be set up

from conversations import audit  # noqa: E402 - as above
from conversations.audit import chain  # noqa: E402 - as above

THREADS = 10


def write(process: int, thread: int, entries: int) -> None:
    source = random.Random(f"{process} {thread}")
    for number in range(entries):
        with transaction.atomic():
            audit.record(None, "test.write", writer=process * THREADS + thread, number=number)
            time.sleep(source.random() / 500)
            transaction.set_rollback(number % 3 == 2)
        if source.random() < 0.2:
            chain.seal()
    connections.close_all()


if __name__ == "__main__":
    process, entries = map(int, sys.argv[1:])
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(write, process, thread, entries) for thread in range(THREADS)]:
            done.result()

"""Open conversations of different lengths and count the work: `python -m bench.long_conversation [LENGTH …]`.

For each number of messages (about 1 kB each): the queries, the bytes and the milliseconds of CPU (the median of several
requests through Django without a server; other work on the machine does not count) of opening the conversation, of a
link to a message in the middle, of the earlier messages, and of the check of a tab that comes back. The first opening,
which renders what is shown, is told apart. The data lie in a directory that is deleted afterwards.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS = 15
LENGTHS = (20, 200, 2000)


def prepare(directory: Path) -> None:
    """Set up Django with a database of its own in `directory`."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="chatapp.settings",
        DATA_DIR=str(directory),
        DATABASE_URL=f"sqlite:///{directory / 'db.sqlite3'}",
        ENV_FILE=str(directory / "none.env"),
    )
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def measure(get: Callable[[], Any]) -> tuple[int, int, float]:
    """Return queries, bytes and milliseconds of CPU of a request."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        answer = get()
        times.append((time.process_time() - began) * 1000)
        assert answer.status_code in {200, 204}, answer.status_code
    with CaptureQueriesContext(connection) as queries:
        get()
    return len(queries), len(answer.content), statistics.median(times)


def report(messages: int, user: Any) -> list[str]:
    """Return the rows of the table for one length."""
    from django.test import Client

    from conversations.reading import windows
    from tests.long_conversation import make_long

    conversation = make_long(user, messages)
    client = Client(headers={"Host": "localhost"})
    client.force_login(user)
    page = f"/c/{conversation.pk}/"
    ids = list(conversation.messages.order_by("pk").values_list("pk", flat=True))
    shown = " ".join(f"{view.dom_id}.{view.tag}" for view in windows.latest(conversation).views)
    began = time.process_time()
    client.get(page)
    first = (time.process_time() - began) * 1000
    kinds = {
        "opened": lambda: client.get(page),
        "around a message": lambda: client.get(page, {"message": ids[len(ids) // 2]}),
        "earlier": lambda: client.get(page, {"before": ids[-min(30, len(ids) - 1)]}, headers={"HX-Request": "true"}),
        "nothing new": lambda: client.get(f"{page}fresh/", headers={"Stillwater-Shown": shown}),
    }
    rows = []
    for name, get in kinds.items():
        queries, size, milliseconds = measure(get)
        note = f" (first: {first:.0f})" if name == "opened" else ""
        rows.append(f"| {messages:,} | {name} | {queries} | {size:,} | {milliseconds:.0f}{note} |")
    return rows


def main() -> None:
    """Print a table."""
    lengths = [int(argument) for argument in sys.argv[1:]] or LENGTHS
    with tempfile.TemporaryDirectory() as directory:
        prepare(Path(directory))
        from django.contrib.auth import get_user_model

        user = get_user_model().objects.create_user("reader")
        print("| messages | request | queries | bytes | CPU ms |\n| --- | --- | --- | --- | --- |")
        for length in lengths:
            print(*report(length, user), sep="\n", flush=True)


if __name__ == "__main__":
    main()

"""What a commit of the journal costs this process: `python -m bench.journal --lanes 100`, in CPU, without the rest.

Each commit brings one delta of each running generation, as a group commit does; on a SQLite database that is removed at
the end, or with `DATABASE_URL=postgresql://…` in a database there, whose own CPU is not counted. Then the look for lost
hints: one for all generations, and, for comparison, reading each of them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

DATA = tempfile.TemporaryDirectory(prefix="stillwater-bench-")
os.environ.update({"DATA_DIR": DATA.name, "ENV_FILE": f"{DATA.name}/none.env", "OLLAMA_URL": ""})
os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(DATA.name) / 'bench.sqlite3'}")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")

import django  # noqa: E402 - settings read the environment

django.setup()

from django.core.management import call_command  # noqa: E402 - as above
from django.db import connection  # noqa: E402 - as above

from conversations.journal.storage import StoredDelta, Write, heads, replay, write_batch  # noqa: E402 - as above
from conversations.models import Generation  # noqa: E402 - as above
from tests.factories import make_conversation, make_model, make_turn, make_user  # noqa: E402 - as above

WARM_UP = 5


def cpu_ms(times: int, call: Callable[[int], object]) -> float:
    """Return the CPU of one call, in milliseconds."""
    for number in range(WARM_UP):
        call(number)
    begun = time.process_time()
    for number in range(WARM_UP, WARM_UP + times):
        call(number)
    return 1000 * (time.process_time() - begun) / times


def run(lanes: int, commits: int) -> None:
    call_command("migrate", verbosity=0)
    user, model = (
        make_user(f"bench{uuid.uuid4().hex[:8]}"),
        make_model(f"http://{uuid.uuid4().hex}.example/v1", "bench"),
    )
    rows = [make_turn(make_conversation(user, model=model), "Go on.", "", status="queued").pk for _ in range(lanes)]
    for pk in rows:
        Generation.claim(pk)

    def commit(seq: int) -> None:
        delta = StoredDelta(seq, "text", "Still water runs ", 45 * seq)
        write_batch([Write(pk, 1, (delta,), None, renew=False) for pk in rows])

    took = cpu_ms(commits, commit)
    print(f"{connection.vendor}, {lanes} generations: {took:.2f} ms CPU a commit, {1000 * took / lanes:.0f} us a delta")
    looked = cpu_ms(commits // 5, lambda _: heads(rows))
    read = cpu_ms(commits // 5, lambda _: [replay(pk, after=commits) for pk in rows])
    print(f"looking for what all of them lack: {looked:.2f} ms; reading each of them: {read:.2f} ms")
    user.delete()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=100, help="generations that run")
    parser.add_argument("--commits", type=int, default=60)
    options = parser.parse_args()
    try:
        run(**vars(options))
    finally:
        connection.close()
        DATA.cleanup()

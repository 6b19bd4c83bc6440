"""What filters cost: `python -m bench.filters`. CPU seconds of one process, and characters held back.

- filter alone: the corpus and plain prose in deltas of about four characters, for each set of rules: CPU for each 1,000
  deltas, how many characters are held back after a delta, and how much later a character is let go;
- whole: the same generations by runner and journal on SQLite with a provider on a socket, rules off and on by turns;
  the best of each, because what else the machine does only adds.

Only figures of one run can be compared with each other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="stillwater-bench-"))
os.environ["DATABASE_URL"] = f"sqlite:///{Path(os.environ['DATA_DIR']) / 'bench.sqlite3'}"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")

from bench.corpus import documents
from conversations.filters.base import Rule
from conversations.filters.catalogue import BUILT_IN, detectors
from conversations.filters.redactor import Redactor

SIZE = 4  # characters of a delta
RATE = 50  # deltas a second, for saying a delay in time
PROSE = "Still water runs deep, and the lake keeps its level while the rain falls on stone roofs. "
CHINESE = "静水流深湖水保持着它的高度而雨水落在石头屋顶上。"


def built_in() -> list[Rule]:
    """A rule of each kind."""
    return [Rule(n, "redact", d, label) for n, kind in enumerate(BUILT_IN) for d, label in detectors(kind)]


def with_own() -> list[Rule]:
    """And a pattern and words of somebody's own."""
    own = (("pattern", r"PROJ-[0-9]{3,6}"), ("words", "falcon\nthe secret plan"))
    return [*built_in(), *(Rule(90 + n, "redact", detectors(*one)[0][0], "own") for n, one in enumerate(own))]


def pieces(text: str) -> list[str]:
    return [text[start : start + SIZE] for start in range(0, len(text), SIZE)]


def alone(text: str, rules: list[Rule]) -> tuple[float, list[int]]:
    """Return CPU milliseconds for each 1,000 deltas, and the characters held back after each."""
    redactor, parts = Redactor(rules), pieces(text)
    before = time.process_time()
    held = []
    for part in parts:
        redactor.feed(part)
        held.append(redactor.held)
    redactor.flush()
    return 1e6 * (time.process_time() - before) / len(parts), held


def report_alone() -> None:
    texts = {"prose": PROSE * 400, "Chinese": CHINESE * 800, "corpus": "\n".join(documents().values()) * 2}
    for name, text in texts.items():
        for rules_name, make in RULES.items():
            runs = [alone(text, make()) for _ in range(3)]
            held = runs[0][1]
            ordered = sorted(held)
            print(
                f"{name:8} {rules_name:16}{min(cost for cost, _ in runs):7.2f} ms CPU / 1,000 deltas"
                f"   held: mean {statistics.mean(held):5.1f}, p99 {ordered[int(len(ordered) * 0.99)]:3d},"
                f" most {ordered[-1]:3d} characters; mean {1000 * statistics.mean(held) / SIZE / RATE:4.0f} ms"
            )


RULES: dict[str, Callable[[], list[Rule]]] = {"built in": built_in, "built in + own": with_own}


def make_database() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def switch(enabled: bool) -> None:
    """Have a rule of each kind, or none."""
    from conversations.models import FilterRule
    from conversations.safety import filtering

    FilterRule.objects.all().delete()
    for kind in BUILT_IN if enabled else ():
        FilterRule.objects.create(name=kind, kind=kind, enabled=True)
    filtering.rules.forget()


async def generations(count: int, text: str) -> float:
    """Write some answers at once; return CPU milliseconds for each 1,000 deltas."""
    from conversations import runner
    from conversations.safety import moderation
    from conversations.threads import reader
    from tests.factories import make_conversation, make_model, make_turn, make_user
    from tests.provider_server import ProviderServer

    with ProviderServer() as server:

        def prepare() -> list[object]:
            user, model = make_user(f"user{time.monotonic_ns()}"), make_model(server.base_url, "say")
            question = f"[[say={text.encode().hex()}]] [[scenario=say-{SIZE}]]"
            return [
                make_turn(make_conversation(user, model=model), question, "", status="queued").pk for _ in range(count)
            ]

        queued = await reader.call(prepare)
        before = time.process_time()  # the provider is a thread of it: its CPU is in both halves alike
        await asyncio.gather(*(runner.run(pk) for pk in queued))
        spent = time.process_time() - before
        await moderation.idle()
        await runner.close()
        await reader.close()
    return 1e6 * spent / (count * len(pieces(text)))


def halves(rounds: int) -> Iterator[tuple[bool, float]]:
    """Rules off and on by turns, so that what else the machine does falls on both."""
    for number in range(2 * rounds):
        switch(number % 2 == 1)
        yield number % 2 == 1, asyncio.run(generations(4, PROSE * 150))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    report_alone()
    make_database()
    costs: dict[bool, list[float]] = {False: [], True: []}
    for enabled, cost in halves(options.rounds):
        costs[enabled].append(cost)
    off, on = (min(costs[enabled]) for enabled in (False, True))
    print(
        f"runner, journal and provider: off {off:.1f}, on {on:.1f} ms CPU / 1,000 deltas: {100 * (on / off - 1):+.1f} %"
    )


if __name__ == "__main__":
    main()

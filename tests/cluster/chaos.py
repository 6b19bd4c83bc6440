"""Rounds of random faults: `make chaos`, with CHAOS_ROUNDS, CHAOS_SEED and CHAOS_MODE (cluster, embedded) to choose.

In each round some answers are written and read while random processes are killed, told to end, frozen or cut off from
what they need at random moments. Then: every word that was shown was right and stayed, what is shown at the end is what
is stored and what a reload shows, what is stored is a beginning of the canonical text, or all of it, every generation
has ended, and a message that was sent again because its response got lost was answered once.

Several rounds run side by side, so that faults of one meet those of others; each takes its decisions from a seed of its
own. A round that fails prints it, and where the logs are; `CHAOS_SEED=<seed> CHAOS_ROUNDS=1 make chaos` decides the
same again (the machine's timing is its own).
"""

from __future__ import annotations

import math
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.cluster.playground import Clustered, Embedded, Playground
from tests.cluster.tab import Tab, counted, is_beginning, question
from tests.provider_server import ProviderServer
from tests.viewer import Viewer

ANSWERS = 4
FAULTS = 2
PATIENCE_SECONDS = 180
MOST_TAKEOVERS = 2  # of an answer that is partly visible, by the promise; more may end it
MODES: dict[str, tuple[type[Playground], int, int]] = {  # how many of them, and rounds side by side in each
    "cluster": (Clustered, 1, 6),
    "embedded": (Embedded, 5, 1),
}


def play_round(playground: Playground, seed: int) -> Counter[str]:
    """One round; return what happened. Raises AssertionError."""
    source = random.Random(seed)
    asked = []
    for _ in range(ANSWERS):
        words, speed, prefill = source.randint(40, 250), source.choice([30, 60, 100]), source.random() < 0.7
        page = playground.ask(question(words, speed), prefill=prefill)
        tab = Tab(playground.cookies, page.text, playground.servers(), page.url.path, server=source.randrange(4))
        asked.append((tab, words, prefill))
    happened: Counter[str] = Counter(rounds=1)
    for _ in range(source.randint(1, FAULTS)):
        time.sleep(source.uniform(0, 1.2))
        happened[playground.disturb(source)] += 1
    for tab, words, prefill in asked:
        happened += ending(playground, tab, words, prefill)
    return happened


def ending(playground: Playground, tab: Tab, words: int, can_go_on: bool) -> Counter[str]:
    """Wait for the end of an answer and compare; return how it ended."""
    shown = tab.finish(PATIENCE_SECONDS)
    conversation = re.search(r"/c/([0-9a-f-]+)/", tab.path)[1]
    query = (
        "SELECT g.status, g.takeovers, g.error_code, g.output FROM conversations_generation g "
        f"JOIN conversations_message m ON m.id = g.message_id WHERE m.conversation_id = '{conversation}'"
    )
    rows = playground.query(query)
    assert len(rows) == 1, f"{len(rows)} generations for one message"
    status, takeovers, error_code, output = rows[0]
    stored = "".join(part["text"] for part in output).strip()
    reloaded = Viewer(playground.get(tab.path).text).answer()
    assert shown == stored == reloaded, f"shown {shown[-80:]!r}, stored {stored[-80:]!r}, reloaded {reloaded[-80:]!r}"
    assert is_beginning(stored), f"stored {stored[-200:]!r}"
    assert status in {"completed", "interrupted", "failed"}, status
    if status == "completed":
        assert stored == counted(words), f"complete at {stored[-80:]!r} of {words} words"
    else:
        assert not can_go_on or takeovers > MOST_TAKEOVERS, f"{status} ({error_code}) after {takeovers} takeovers"
    return Counter({status: 1, "takeovers": takeovers, "words": len(shown.split()), "reconnects": tab.connections - 1})


def play(mode: str, rounds: int, seed: int, most_seconds: float = math.inf) -> Counter[str]:
    """Play rounds with seeds from `seed` on; return what happened in all. Raises AssertionError for all that failed.

    No round begins when `most_seconds` are over.
    """
    kind, count, lanes = MODES[mode]
    happened, failures, started = Counter[str](), [], time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="stillwater-chaos-"))
    with ExitStack() as stack, ThreadPoolExecutor(count * lanes) as threads:
        provider = stack.enter_context(ProviderServer())
        playgrounds = []
        for number in range(count):
            (directory / str(number)).mkdir()
            playgrounds.append(kind(directory / str(number), provider, number))
            stack.callback(playgrounds[-1].close)
            playgrounds[-1].start()

        def lane(number: int) -> None:
            for each in range(seed + number, seed + rounds, count * lanes):
                if time.monotonic() - started > most_seconds:
                    return
                try:
                    happened.update(play_round(playgrounds[number % count], each))
                except AssertionError as error:
                    failures.append(f"seed {each}: {error}")
                    print(failures[-1], flush=True)
                print(f"{mode} seed {each}: {dict(happened)}", flush=True)

        list(threads.map(lane, range(count * lanes)))
    print(f"{mode}: seeds {seed} to {seed + rounds - 1}, {time.monotonic() - started:.0f} s, failures: {len(failures)}")
    assert not failures, f"logs are in {directory}\n" + "\n".join(failures)
    shutil.rmtree(directory)
    return happened


if __name__ == "__main__":
    chosen = os.environ.get("CHAOS_MODE", "")
    first = int(os.environ.get("CHAOS_SEED", "") or random.randrange(1_000_000))
    for each in [chosen] if chosen else MODES:
        print(each, dict(play(each, int(os.environ.get("CHAOS_ROUNDS", "50")), first)), flush=True)
    sys.exit(0)

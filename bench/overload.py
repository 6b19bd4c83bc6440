"""What happens at three times the capacity: `python -m bench.overload --capacity 40 --rate 50 --seconds 30`.

A paced provider, the server (Daphne, SQLite, `MAX_ACTIVE_GENERATIONS` at the capacity) and this client are three
processes on one machine. Visitors each want an answer all the time: when one has ended they ask again, when they are
refused they come back after `Retry-After`. Measured in one run, first with as many visitors as the capacity and then
with three times as many:

- delay: from the moment the provider sent a token to the moment this client read it, over all admitted streams, from
  their opening on;
- CPU: of the server, in one core;
- refusal: from the POST to the end of its answer, and whether it says when to come back.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

from bench.streams import UNLIMITED, Result, Visitor, cpu_seconds, percentile, provider, read_stream, request
from tests.server import STREAM_URL, Server

ANSWER_SECONDS = 15


@dataclass
class Phase:
    """What one number of visitors met."""

    visitors: int
    streams: Result = field(default_factory=lambda: Result("admitted"))
    refusals_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    rude: int = 0  # refusals that do not say when to come back, or nothing to read


async def post(visitor: Visitor, path: str) -> tuple[int, str, float]:
    """Send a message by htmx; return status, answer and how long it took."""
    fields = {"csrfmiddlewaretoken": visitor.token, "text": "Go on.", "request_key": str(uuid.uuid4())}
    headers = visitor.headers + "HX-Request: true\r\n"
    started = time.monotonic()
    answer = await (await request(visitor.port, "POST", path, urlencode(fields).encode(), headers)).read()
    took = (time.monotonic() - started) * 1000
    text = answer.decode(errors="replace")
    return int(text.split(" ", 2)[1]), text, took


async def visit(visitor: Visitor, phase: Phase, begin: float) -> None:
    """Want an answer all the time, politely."""
    await asyncio.sleep(begin)
    while True:
        status, text, took = await post(visitor, "/c/")
        if phase.streams.counting:
            phase.statuses[status] += 1
        if status != 302:
            retry = re.search(r"[Rr]etry-[Aa]fter: (\d+)", text)
            if phase.streams.counting:
                phase.refusals_ms.append(took)
                phase.rude += not (retry and "Your text is kept" in text)
            await asyncio.sleep(int(retry[1]) if retry else 5)
            continue
        location = re.search(r"[Ll]ocation: (\S+)", text)[1]
        page = await (await request(visitor.port, "GET", location, headers=visitor.headers)).read()
        if found := STREAM_URL.search(page.decode(errors="replace")):
            reader = await request(visitor.port, "GET", unescape(found[1]), headers=visitor.headers)
            first = await reader.read(1)  # from here on the stream is open: what is sent later is measured
            await read_stream(reader, phase.streams, since=time.monotonic() if first else 0.0)


async def run(server: Server, visitors: int, capacity: int, seconds: float) -> Phase:
    """Let so many visitors in, one after the other; measure when as many run as can."""
    phase, visitor = Phase(visitors), Visitor(server)
    gap = ANSWER_SECONDS / capacity / 2
    tasks = [asyncio.create_task(visit(visitor, phase, number * gap)) for number in range(visitors)]
    await asyncio.sleep(visitors * gap + 3)
    cpu, phase.streams.counting = cpu_seconds(server.process.pid), True
    await asyncio.sleep(seconds)
    phase.streams.counting = False
    phase.streams.cpu_seconds = cpu_seconds(server.process.pid) - cpu
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return phase


def report(phases: list[Phase], rate: float, seconds: float) -> None:
    columns = "visitors  admitted tokens/s  delay p50     p99  refusals      p50      p99  without Retry-After   CPU"
    print(columns)
    for phase in phases:
        streams, refusals = phase.streams, phase.refusals_ms or [0.0]
        print(
            f"{phase.visitors:8}{streams.tokens / seconds:19.0f}{statistics.median(streams.delays_ms):8.0f} ms"
            f"{percentile(streams.delays_ms, 0.99):5.0f} ms{len(phase.refusals_ms):10}"
            f"{statistics.median(refusals):6.1f} ms{percentile(refusals, 0.99):6.1f} ms{phase.rude:21}"
            f"{100 * streams.cpu_seconds / seconds:4.0f} %"
        )
    calm, over = (percentile(phase.streams.delays_ms, 0.99) for phase in phases)
    print(f"p99 of admitted streams: {over / calm:.2f} times that at capacity ({rate:g} tokens/s each)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capacity", type=int, default=40, help="answers at once")
    parser.add_argument("--rate", type=float, default=50, help="tokens a second of each answer")
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    phases = []
    print(f"capacity {options.capacity}, {options.seconds:g} s each, {os.cpu_count()} cores")
    for times in (1, 3):
        with (
            provider(options.rate, int(options.rate * ANSWER_SECONDS)) as url,
            tempfile.TemporaryDirectory() as directory,
        ):
            limit = {"MAX_ACTIVE_GENERATIONS": str(options.capacity), **UNLIMITED}
            server = Server(Path(directory), OPENAI_BASE_URL=url, **limit)
            server.prepare()
            server.start()
            try:
                phases.append(asyncio.run(run(server, times * options.capacity, options.capacity, options.seconds)))
            finally:
                server.close()
    report(phases, options.rate, options.seconds)


if __name__ == "__main__":
    main()

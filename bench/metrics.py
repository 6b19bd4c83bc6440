"""What measuring costs: `python -m bench.metrics --streams 20 --rate 50 --seconds 6`.

The same load on one server with METRICS on and one with METRICS off, in turns and in one run, so that both see the same
machine; columns as in `bench.streams`. Before it, the cost of what happens with every delta, alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from types import SimpleNamespace

from bench.streams import SETTLE_SECONDS, STARTS_PER_SECOND, Result, Visitor, load, provider, request, stillwater

CALLS = 200_000


def alone() -> None:
    """Time one delta."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")
    import django

    django.setup()
    from prometheus_client import Histogram

    from conversations import metrics

    model = SimpleNamespace(model_name="bench", is_demo=False)
    watch = metrics.Stopwatch(SimpleNamespace(model=model, arm=""), fresh=False)
    watch.delta()
    library = Histogram("bench_seconds", "As the library has it", buckets=metrics.GAP_SECONDS, registry=None)
    for name, call in (("one delta", watch.delta), ("library's histogram", lambda: library.observe(0.02))):
        seconds = min(timeit.repeat(call, number=CALLS, repeat=3))
        print(f"{name:22}{1e9 * seconds / CALLS:8.0f} ns")


@contextmanager
def switched(value: str) -> Iterator[None]:
    """Start servers within the block with METRICS set so."""
    os.environ["METRICS"] = value
    try:
        yield
    finally:
        del os.environ["METRICS"]


def round_of(value: str, streams: int, rate: float, seconds: float) -> Result:
    result = Result(f"metrics {value}", expected=streams * rate * seconds)
    tokens = int(rate * (streams / STARTS_PER_SECOND + SETTLE_SECONDS + seconds + 2))
    with switched(value), provider(rate, tokens) as url, stillwater(url) as server:
        visitor = Visitor(server)

        async def open_stream() -> asyncio.StreamReader:
            address = await visitor.ask()
            return await request(server.port, "GET", address, headers=visitor.headers)

        asyncio.run(load([server.process.pid], streams, seconds, result, open_stream))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=1, help="of each")
    options = parser.parse_args()
    alone()
    for value in islice(cycle(("false", "true")), 2 * options.rounds):
        r = round_of(value, options.streams, options.rate, options.seconds)
        print(
            f"{r.name:16}{1e6 * r.cpu_seconds / r.tokens:8.1f} ms CPU for 1,000 tokens, {r.tokens} tokens", flush=True
        )


if __name__ == "__main__":
    main()

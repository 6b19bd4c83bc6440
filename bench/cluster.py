"""What a cluster carries: `python -m bench.cluster --webs 2 --workers 2 --streams 100 --rate 50 --seconds 15`.

Web processes and workers on the local PostgreSQL and a Redis of their own, under the same load and with the same
columns as `bench.streams`; CPU and memory are those of all web and worker processes together. PostgreSQL, Redis, the
provider and the client run on the same machine and are not counted.

What two of each carry more than one of each cannot be seen where they share two cores with all that: the rest is full
first. With `--quota 0.2` (as root, with control groups) each web process and each worker gets a fifth of a core and no
more, so that they are what is full: compare 1 + 1 with so many streams, and 2 + 2 with 1.6 times as many.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.streams import SETTLE_SECONDS, STARTS_PER_SECOND, Result, Visitor, load, provider, report, request
from tests.cluster.processes import Cluster

CONTROL_GROUPS = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
PERIOD_US = 20_000


@contextmanager
def cluster(url: str, webs: int, workers: int) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as directory:
        running = Cluster(Path(directory), webs=webs, workers=workers, OPENAI_BASE_URL=url)
        try:
            running.start()
            yield running
        finally:
            running.close()


@contextmanager
def quotas(pids: list[int], share: float) -> Iterator[None]:
    """Let each process have this share of a core and no more; 0: as much as there is."""
    root = next((root for root in CONTROL_GROUPS if (root / "cgroup.procs").exists()), CONTROL_GROUPS[0])
    groups = [root / f"stillwater-bench-{pid}" for pid in pids] if share else []
    try:
        for pid, group in zip(pids, groups, strict=False):
            group.mkdir()
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text(f"{int(share * PERIOD_US)} {PERIOD_US}")
            else:  # version 1
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(int(share * PERIOD_US)))
            (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for pid, group in zip(pids, groups, strict=False):
            (root / "cgroup.procs").write_text(str(pid))
            group.rmdir()


def measure(  # noqa: PLR0913 - as on the command line
    webs: int, workers: int, streams: int, rate: float, seconds: float, *, quota: float, plain: bool
) -> Result:
    """Return what the cluster showed; streams are spread over its web processes."""
    tokens = int(rate * (streams / STARTS_PER_SECOND + SETTLE_SECONDS + seconds + 2))
    result = Result(f"{webs} + {workers}", first_text_ms=[0.0], expected=streams * rate * seconds)
    with provider(rate, tokens, plain=plain) as url, cluster(url, webs, workers) as running:
        running.webs[0].link = running.webs[0].new_link()
        visitor = Visitor(running.webs[0])
        ports = itertools.cycle(web.port for web in running.webs)

        async def open_stream() -> asyncio.StreamReader:
            address = await visitor.ask()
            return await request(next(ports), "GET", address, headers=visitor.headers)

        pids = [part.process.pid for part in (*running.webs, *running.workers)]

        async def run() -> None:
            loading = asyncio.create_task(load(pids, streams, seconds, result, open_stream))
            await asyncio.sleep(
                streams / STARTS_PER_SECOND + SETTLE_SECONDS / 2
            )  # to open one costs more than to show it
            with quotas(pids, quota):
                await loading

        asyncio.run(run())
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--webs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rate", type=float, default=50, help="tokens a second of each stream")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--plain", action="store_true", help="paragraphs only: nothing but half words is held back")
    parser.add_argument("--quota", type=float, default=0, help="of a core, for each web process and each worker")
    options = parser.parse_args()
    print(f"{options.streams} streams at {options.rate:g} tokens/s for {options.seconds:g} s, {os.cpu_count()} cores")
    report([measure(**vars(options))])

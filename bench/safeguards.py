"""What safeguards cost together: `python -m bench.safeguards --streams 10 --rate 50 --seconds 10 --rounds 3`.

The same load on one server with and without them, by turns and in one run, so that both see the same machine: limits
(requests, tokens a minute, day and month, answers and streams at once, for users and addresses), filters (a rule of
each kind that changes the text), METRICS. What is written once an answer has no switch, and is part of both: its audit
entries, and who was sent it. CPU is that of the server for 1,000 tokens while all streams run: medians of the rounds.
With `--own`, a pattern and a list of words of somebody's own come to the filters.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from itertools import cycle, islice
from pathlib import Path

from bench.streams import SETTLE_SECONDS, STARTS_PER_SECOND, Result, Visitor, load, provider, request
from tests.server import Server

PLENTY = "1000000000"
ON = {
    "METRICS": "true",
    "LIMIT_REQUESTS_PER_MINUTE": PLENTY,
    "LIMIT_TOKENS_PER_MINUTE": PLENTY,
    "LIMIT_TOKENS_PER_DAY": PLENTY,
    "LIMIT_TOKENS_PER_MONTH": PLENTY,
    "LIMIT_GENERATIONS": PLENTY,
    "LIMIT_STREAMS": PLENTY,
    "ADDRESS_REQUESTS_PER_MINUTE": PLENTY,
    "ADDRESS_TOKENS_PER_DAY": PLENTY,
    "ADDRESS_GENERATIONS": PLENTY,
    "ADDRESS_STREAMS": PLENTY,
    "MAX_ACTIVE_GENERATIONS": PLENTY,
    "MAX_LAG_SECONDS": "60",
}
OFF = {**dict.fromkeys(ON, "0"), "METRICS": "false", "MAX_LAG_SECONDS": "60"}
RULES = ["secrets", "email", "phone", "card", "iban"]
OWN = {"pattern": "PROJ-[0-9]{3,6}", "words": "falcon\\nthe secret plan"}
MAKE_RULE = """
from conversations.models import FilterRule
FilterRule.objects.create(name="{0}", kind="{0}", source="{1}", enabled=True)
"""


def round_of(name: str, streams: int, rate: float, seconds: float, rules: dict[str, str]) -> Result:
    """Measure one server; rules are kinds and their sources."""
    result = Result(name, expected=streams * rate * seconds)
    tokens = int(rate * (streams / STARTS_PER_SECOND + SETTLE_SECONDS + seconds + 2))
    with provider(rate, tokens, plain=True) as url, tempfile.TemporaryDirectory() as directory:
        server = Server(Path(directory), OPENAI_BASE_URL=url, **(ON if name == "on" else OFF))
        server.prepare()
        if rules:
            server.manage("shell", "-c", "".join(MAKE_RULE.format(*rule) for rule in rules.items()))
        server.start()
        try:
            visitor = Visitor(server)

            async def open_stream() -> asyncio.StreamReader:
                address = await visitor.ask()
                return await request(server.port, "GET", address, headers=visitor.headers)

            asyncio.run(load([server.process.pid], streams, seconds, result, open_stream))
        finally:
            server.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3, help="of each")
    parser.add_argument("--own", action="store_true", help="with a pattern and words of somebody's own")
    options = parser.parse_args()
    rules = {**dict.fromkeys(RULES, ""), **(OWN if options.own else {})}
    costs: dict[str, list[float]] = {"off": [], "on": []}
    for name in islice(cycle(costs), 2 * options.rounds):
        r = round_of(name, options.streams, options.rate, options.seconds, rules if name == "on" else {})
        costs[name].append(1e6 * r.cpu_seconds / r.tokens)
        print(f"{name:4}{costs[name][-1]:8.1f} ms CPU for 1,000 tokens, {r.tokens} tokens", flush=True)
    off, on = (statistics.median(costs[name]) for name in costs)
    print(f"medians: off {off:.1f}, on {on:.1f} ms: {100 * (on / off - 1):+.1f} %")


if __name__ == "__main__":
    main()

"""What rendering costs the server: `python -m bench.rendering`. No browser, no database; CPU seconds of one process.

- for each 1,000 tokens of the corpus, in answers of three lengths: pieces of about 4 characters, a frame for each;
- the same by rendering all of the text anew for each frame, from a sample of its frames;
- for each piece of a very long block, near its beginning and near its end. What lies between is fed in one piece,
  because the state depends on the text and not on its pieces.

Only figures of one run can be compared with each other. Repeated text is varied, so that no cache knows it.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from itertools import accumulate, islice

from bench.corpus import documents, pieces
from conversations.live.message import MessageRenderer, changes
from conversations.live.sse import update
from conversations.rendering.markdown import render

KILO = 1024
LENGTHS = {4 * KILO: 16, 32 * KILO: 4, 256 * KILO: 1}  # characters: how many answers, from different documents on
ANEW_LENGTHS = (4 * KILO, 32 * KILO)
ANEW_FRAMES = 40
BEGINNING = 1_000  # characters into the block
WINDOW = 200  # pieces
MOST_SECONDS = 10.0  # for one window
VARIED = re.compile(r"(?<![\\{a-z])[a-z]{7,}\b|\d{3,}")


def varied(text: str, number: int) -> str:
    """Return a text like this one that is another; languages of code and commands of formulas stay."""
    if number == 0:
        return text
    lines = (
        line if line.lstrip("> ").startswith(("```", "~~~")) else VARIED.sub(rf"\g<0>{number}", line)
        for line in text.split("\n")
    )
    return "\n".join(lines)


def answer(length: int, first: int) -> str:
    """Return so many characters of the corpus, from one of its documents on."""
    corpus = list(documents().values())
    text, number = "", 0
    while len(text) < length:
        lap, index = divmod(first + number, len(corpus))
        text += varied(corpus[index], lap) + "\n"
        number += 1
    return text[:length]


def cpu_seconds(work: Callable[[], object]) -> float:
    """Run it; return the CPU time of this process."""
    before = time.process_time()
    work()
    return time.process_time() - before


class Stream:
    """A message that grows, and a viewer who gets a frame for each piece."""

    def __init__(self) -> None:
        self.renderer = MessageRenderer("m")
        self._sent = 0

    def frame(self, piece: str) -> str:
        """Feed a piece; return what the viewer gets."""
        self.renderer.feed("text", piece, 0)
        operations = self.renderer.operations[self._sent :]
        self._sent += len(operations)
        return update("m-", changes(operations))


def stream(text: str) -> None:
    """Render a text as it would arrive, each piece in a frame."""
    growing = Stream()
    for piece in pieces(text):
        growing.frame(piece)
    growing.renderer.finish()


def streamed_ms(length: int, answers: int) -> float:
    """Return milliseconds for each 1,000 tokens."""
    texts = [answer(length, first * len(documents()) // answers) for first in range(answers)]
    tokens = sum(len(list(pieces(text))) for text in texts)
    return 1e6 * sum(cpu_seconds(lambda text=text: stream(text)) for text in texts) / tokens


def anew_ms(length: int) -> float:
    """Return milliseconds for each 1,000 tokens when each frame renders everything."""
    prefixes = list(accumulate(pieces(answer(length, 0))))
    sample = prefixes[:: max(1, len(prefixes) // ANEW_FRAMES)]
    return 1e6 * sum(cpu_seconds(lambda text=text: render(text)) for text in sample) / len(sample)


def long_blocks() -> dict[str, str]:
    """Return one block of each kind that can become very long."""
    code = "".join(f"    total += compute(values[{i}], 'row {i}', scale=0.{i})  # {i}\n" for i in range(10_000))
    rows = "".join(f"| {i} | `item-{i}` | {i * 7 % 1000} | some *words* on {i} |\n" for i in range(2_000))
    items = "".join(f"- item {i} with **bold** words, a [link](https://example.com/{i})\n" for i in range(2_000))
    words = "".join(f"Sentence {i} says *something* about the {i * 31 % 977}th stone. " for i in range(4_000))
    return {
        "code, 10,000 lines": f"```python\ndef total(values):\n{code}",
        "table, 2,000 rows": f"| n | name | value | words |\n| ---: | --- | ---: | --- |\n{rows}",
        "list, 2,000 items": items,
        "paragraph, 200 kB": words[: 200 * KILO],
    }


def window_ms(growing: Stream, rest: Iterator[str]) -> float:
    """Feed some pieces with a frame each; return milliseconds for each."""
    begun, fed = time.process_time(), 0
    for piece in islice(rest, WINDOW):
        growing.frame(piece)
        fed += 1
        if time.process_time() - begun > MOST_SECONDS:
            break
    return 1000 * (time.process_time() - begun) / fed


def beginning_and_end_ms(text: str) -> tuple[float, float]:
    """Return what a piece costs near the beginning and near the end of one block."""
    tail_length = 5 * WINDOW
    costs = []
    for known in (BEGINNING, len(text) - tail_length):
        growing = Stream()
        growing.frame(text[:known])
        costs.append(window_ms(growing, pieces(text[known : known + tail_length])))
    return costs[0], costs[1]


def main() -> None:
    """Measure and print tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    stream(answer(4 * KILO, 0))  # lexers and parsers are made once
    print("| CPU for 1,000 tokens | 4 kB | 32 kB | 256 kB | growth |\n| --- | ---: | ---: | ---: | ---: |")
    costs = [streamed_ms(length, answers) for length, answers in LENGTHS.items()]
    cells = [f"{cost:,.0f} ms" for cost in costs]
    print(f"| as it arrives | {' | '.join(cells)} | {costs[-1] / costs[0]:.2f} |", flush=True)
    anew = [anew_ms(length) for length in ANEW_LENGTHS]
    print(f"| all anew | {' | '.join(f'{cost:,.0f} ms' for cost in anew)} | | |", flush=True)
    print("\n| CPU for a piece | at the beginning | at the end | growth |\n| --- | ---: | ---: | ---: |")
    for name, text in long_blocks().items():
        begin, end = beginning_and_end_ms(text)
        print(f"| {name} | {begin:.3f} ms | {end:.3f} ms | {end / begin:.1f} |", flush=True)


if __name__ == "__main__":
    main()

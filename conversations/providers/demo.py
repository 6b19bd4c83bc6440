"""The built-in demo model: no service, no key, no knowledge; it writes plausible markdown at a human pace.

It answers what was asked for (code, a table, mathematics, steps, a list, a greeting), thinks first when the message
says "think" or "reason", and gives a short title when the system prompt asks for a `title`. The same messages give the
same answer; a parameter `seed` changes it. With `partial` it goes on behind it, or adds to it.

Directives anywhere in the last user message steer it, for demos, tests and load:

    [[speed=200]]   tokens a second (0: as fast as possible); without it about 50, after a short wait
    [[length=500]]  tokens of the answer
    [[think=2]]     seconds of reasoning before the answer
    [[seed=3]]      another answer to the same question
    [[fault=…]]     stall, cut, error, eof: silence, a broken connection, an error event, an early end in mid-answer;
                    length, filter: a finish reason other than stop; silence: nothing at all; 401, 429: refused
    [[after=20]]    tokens before the fault (at most the whole answer)

Faults raise what the client of real services raises, under the same deadlines. An answer that is continued has no
fault, so that Continue can be tried; a title obeys no directive. An answer that is to be written again, shorter or
longer, obeys the message that it answers, and has half or twice the length.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from random import Random

from conversations.providers import demo_scripts
from conversations.providers.base import (
    ChatRequest,
    Deadlines,
    Event,
    Finished,
    FinishReason,
    Provider,
    ReasoningDelta,
    TextDelta,
    Usage,
)
from conversations.providers.deadlines import Clock
from conversations.providers.errors import failure

MODEL_NAME = "Demo"
USUAL_SPEED = 50.0
MAX_LENGTH = 200_000
_USUAL_AFTER = 20
_USUAL_THINK_SECONDS = 1.5
_FOREVER_SECONDS = 86_400.0
_BATCH = 20  # tokens between two pauses when there is no pace: other tasks want to run, too

_DIRECTIVE = re.compile(r"\[\[(\w+)=([\w.+-]+)\]\]")
_TOKEN = re.compile(r"\n+|[ ]*\w{1,6}|[ ]*[^\w\n]|[ ]+")
_THINK = re.compile(r"\b(think|reason)", re.I)
_TITLE = re.compile(r"\btitle\b", re.I)
_AGAIN = re.compile(r"Write your last answer again, (shorter|longer|more)")
_FACTORS = {"shorter": 0.5, "longer": 2.0, "more": 1.0}
_REFUSALS = {"401": "unauthorized", "429": "rate_limited"}
_BREAKS = {"cut": "cut", "error": "stream_error", "eof": "ended_early"}
_FINISH: dict[str, FinishReason] = {"length": "length", "filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class Directives:
    """What the last user message asks of the demo; `question` is that message without them."""

    question: str
    speed: float | None = None
    length: int | None = None
    think_seconds: float = 0
    seed: str = ""
    fault: str = ""
    after: int = _USUAL_AFTER


def read_directives(message: str) -> Directives:
    """Unknown directives and unreadable values are passed over."""
    found = dict(_DIRECTIVE.findall(message))
    question = _DIRECTIVE.sub("", message).strip()
    speed, length = _number(found.get("speed")), _number(found.get("length"))
    think, after = _number(found.get("think")), _number(found.get("after"))
    usual_think = _USUAL_THINK_SECONDS if _THINK.search(question) else 0
    return Directives(
        question,
        speed=speed,
        length=None if length is None else min(int(length), MAX_LENGTH),
        think_seconds=usual_think if think is None else think,
        seed=found.get("seed", ""),
        fault=found.get("fault", ""),
        after=_USUAL_AFTER if after is None else int(after),
    )


class DemoProvider(Provider):
    def __init__(self, deadlines: Deadlines | None = None) -> None:
        self.deadlines = deadlines or Deadlines()

    async def list_models(self) -> list[str]:
        return [MODEL_NAME]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """See Provider."""
        wanted = _wanted(request)
        random = Random(zlib.crc32(_identity(request, wanted).encode("utf-8", "replace")))  # noqa: S311 - not a secret
        tokens = tokenize(_answer(request, wanted, random))
        thoughts = [] if request.partial else _thoughts(wanted, random)
        clock = Clock(self.deadlines)
        pace = Pace(clock, wanted.speed, random)
        await _before(wanted, clock, pace)
        pace.speed = wanted.speed or USUAL_SPEED
        for token in thoughts:
            await pace.next()
            yield ReasoningDelta(token)
            clock.progress()
        pace.speed = USUAL_SPEED if wanted.speed is None else wanted.speed
        faulty = wanted.fault in {"stall", *_BREAKS, *_FINISH}
        sent = tokens[: wanted.after] if faulty else tokens
        for token in sent:
            await pace.next()
            yield TextDelta(token)
            clock.progress()
        if faulty:
            await _break(wanted.fault, clock)
        usage = Usage(_count(request), len(thoughts) + len(sent), len(thoughts))
        yield Finished(_FINISH.get(wanted.fault, "stop"), usage, MODEL_NAME)


class Pace:
    """Waits between tokens: `speed` a second with natural jitter, or (0) not at all."""

    def __init__(self, clock: Clock, speed: float | None, random: Random) -> None:
        self.speed = USUAL_SPEED if speed is None else speed
        self._clock = clock
        self._random = random
        self._due = clock.elapsed_seconds()
        self._count = 0

    async def wait(self, seconds: float) -> None:
        """One pause of its own, such as before the first token."""
        self._due += seconds
        await self._clock.sleep(seconds)

    async def next(self) -> None:
        """Until the next token is due: by the clock, so that a slow caller does not slow the model down."""
        self._count += 1
        if not self.speed:
            if self._count % _BATCH == 0:
                await self._clock.sleep(0)
            return
        self._due += self._random.uniform(0.4, 1.6) / self.speed
        late = self._clock.elapsed_seconds() - self._due
        if late < 0:
            await self._clock.sleep(-late)


def tokenize(text: str) -> list[str]:
    """`text` in pieces of about the size of a model's tokens; joined they are `text` again."""
    return [match.group() for match in _TOKEN.finditer(text)]


def _wanted(request: ChatRequest) -> Directives:
    message = next((m.content for m in reversed(request.messages) if m.role == "user"), "")
    wanted = _again(request) if _AGAIN.match(message) else read_directives(message)
    if _asks_for_title(request):
        return Directives(wanted.question, speed=0)
    return replace(wanted, fault="", think_seconds=0) if request.partial else wanted


def _again(request: ChatRequest) -> Directives:
    """What a question, an answer to it, and how this one is to be written again, ask for together."""
    *_, question, answer, instruction = ("", "", *(message.content for message in request.messages))
    found = _AGAIN.match(instruction)
    wanted = read_directives(question)
    length = wanted.length or len(tokenize(answer))
    return replace(wanted, length=round(length * _FACTORS[found[1] if found else "more"]))


def _asks_for_title(request: ChatRequest) -> bool:
    return any(message.role == "system" and _TITLE.search(message.content) for message in request.messages)


def _identity(request: ChatRequest, wanted: Directives) -> str:
    """What decides about the answer: not speed, not faults, not how much of it is already there."""
    said = [message.content for message in request.messages[:-1]]
    return "\0".join([*said, wanted.question, wanted.seed, str(request.parameters.get("seed", ""))])


def _answer(request: ChatRequest, wanted: Directives, random: Random) -> str:
    """The text to send: the whole answer, or what follows `partial`."""
    if _asks_for_title(request):
        return demo_scripts.title(wanted.question)
    parts = demo_scripts.compose(wanted.question, random)
    usual = demo_scripts.usual_parts(wanted.question, random)
    whole = _of_length(parts, usual, wanted.length)
    if request.partial and not whole.startswith(request.partial):
        return f"\n\n{next(parts).rstrip()}"
    if request.partial and len(whole) == len(request.partial):
        return f"\n\n{next(parts).rstrip()}"
    return whole[len(request.partial) :]


def _of_length(parts: Iterator[str], usual: int, length: int | None) -> str:
    if length is None:
        return "".join(itertools.islice(parts, usual)).rstrip()
    tokens: list[str] = []
    while len(tokens) < length:
        tokens += tokenize(next(parts))
    return "".join(tokens[:length])


def _thoughts(wanted: Directives, random: Random) -> list[str]:
    """Tokens of reasoning for `think_seconds` at the pace of this answer (the usual one if it has none)."""
    count = int(min(wanted.think_seconds * (wanted.speed or USUAL_SPEED), MAX_LENGTH))
    sentences = demo_scripts.reasoning(wanted.question, random)
    tokens: list[str] = []
    while len(tokens) < count:
        tokens += tokenize(next(sentences))
    return tokens[:count]


async def _before(wanted: Directives, clock: Clock, pace: Pace) -> None:
    """What happens before the first token."""
    if wanted.fault in _REFUSALS:
        wait = 30.0 if wanted.fault == "429" else None
        raise failure(_REFUSALS[wanted.fault], retry_after_seconds=wait)
    if wanted.fault == "silence":
        await clock.sleep(_FOREVER_SECONDS)
    if wanted.speed is None:
        await pace.wait(0.3)


async def _break(fault: str, clock: Clock) -> None:
    """Break the answer as `fault` says; returns only for faults that are a finish reason."""
    if fault == "stall":
        await clock.sleep(_FOREVER_SECONDS)
    if fault in _BREAKS:
        raise failure(_BREAKS[fault], interrupted=clock.began)


def _count(request: ChatRequest) -> int:
    return sum(len(tokenize(message.content)) for message in request.messages) + len(tokenize(request.partial))


def _number(value: str | None) -> float | None:
    """A number >= 0, or None."""
    try:
        number = float(value) if value else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number <= MAX_LENGTH else None

"""The demo model keeps its promises: what it says, how fast, and how it fails."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.providers import (
    ChatMessage,
    ChatRequest,
    Deadlines,
    Endpoint,
    Event,
    Finished,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    open_provider,
)
from conversations.providers.demo import DemoProvider, read_directives, tokenize
from conversations.providers.demo_scripts import compose, kind, title, topic

SHORT = Deadlines(first_token_seconds=0.3, idle_seconds=0.2, total_seconds=5)
FAST = "[[speed=0]]"


def request(text: str, *, system: str = "", partial: str = "", **parameters: int) -> ChatRequest:
    messages = (ChatMessage("system", system),) * bool(system) + (ChatMessage("user", text),)
    return ChatRequest(messages, parameters, partial)


async def ask(chat_request: ChatRequest, deadlines: Deadlines = SHORT) -> tuple[list[Event], str, str]:
    """(events, text, code of the error or "")."""
    events: list[Event] = []
    code = ""
    try:
        async with aclosing(DemoProvider(deadlines).stream(chat_request)) as stream:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - what came before an error counts
    except ProviderError as error:
        code = error.code
        assert error.interrupted == bool(events)
    return events, "".join(event.text for event in events if isinstance(event, TextDelta)), code


async def text_of(question: str, **fields: object) -> str:
    return (await ask(request(f"{question} {FAST}", **fields)))[1]  # type: ignore[arg-type]


def test_open_provider_knows_the_demo() -> None:
    assert isinstance(open_provider(Endpoint("demo:", "", "Demo")), DemoProvider)


async def test_list_models_names_the_demo() -> None:
    assert await DemoProvider().list_models() == ["Demo"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Write a Python function that counts words", "code"),
        ("Compare tea and coffee", "table"),
        ("Solve an equation for me", "math"),
        ("How do I bake bread?", "steps"),
        ("Some ideas for a birthday", "list"),
        ("Hello!", "greeting"),
        ("Hello, please tell me at length about the history of the canals of northern Europe", "prose"),
        ("Why is the sea salty?", "prose"),
    ],
)
def test_kind_follows_the_question(question: str, expected: str) -> None:
    assert kind(question) == expected


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("Write a Python function that counts words", "```python"),
        ("Write a bash script", "```bash"),
        ("Compare tea and coffee", "| Aspect | Tea | Coffee | Weight |"),
        ("Explain this equation", "$$"),
        ("How do I bake bread?", "1. **"),
    ],
)
async def test_answer_has_the_shape_that_was_asked_for(question: str, part: str) -> None:
    assert part in await text_of(question)


async def test_answer_speaks_of_the_topic() -> None:
    assert topic("Why is the sea salty?") == "sea salty"
    assert "sea salty" in await text_of("Why is the sea salty?")
    assert "your question" in await text_of("???")


async def test_greeting_is_short() -> None:
    assert len(await text_of("Hi")) < 150


async def test_answers_vary_in_their_markdown() -> None:
    answers = "".join([await text_of("Tell me something", seed=seed) for seed in range(20)])
    for mark in (
        "## ",
        "### ",
        "\n- ",
        "\n1. **",
        "\n   - ",
        "| Aspect |",
        "```",
        "$$",
        "](https://",
        "\n> ",
        "**",
        "~~",
    ):
        assert mark in answers


async def test_same_question_gives_the_same_answer_and_a_seed_another() -> None:
    first = await text_of("Why is the sea salty?")
    assert await text_of("Why is the sea salty?") == first
    assert (await ask(request("Why is the sea salty? [[speed=0]] [[length=9]]")))[1] == "".join(tokenize(first)[:9])
    assert await text_of("Why is the sea salty? [[seed=3]]") != first
    assert await text_of("Why is the sea salty?", seed=4) != first


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Why is the sea so salty? [[fault=cut]] [[think=9]]\n\nThere are many reasons", "Sea Salty"),
        ("hi\n\nHello there, what shall it be?", "A friendly hello"),
    ],
)
async def test_title_is_short_and_obeys_no_directive(question: str, expected: str) -> None:
    events, text, code = await ask(request(question, system="Write a title for this conversation."))
    assert (text, code) == (expected, "")
    assert isinstance(events[-1], Finished)
    assert title("???") == "A friendly hello"


@pytest.mark.parametrize("length", [0, 1, 57, 2000])
async def test_length_is_kept(length: int) -> None:
    events, _, _ = await ask(request(f"a story {FAST} [[length={length}]]"))
    assert len(events) == length + 1
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.finish_reason == "stop"
    assert finished.usage is not None
    assert finished.usage.output_tokens == length


async def test_speed_is_kept() -> None:
    started = time.monotonic()
    events, _, _ = await ask(request("a story [[speed=200]] [[length=100]]"))
    assert len(events) == 101
    assert time.monotonic() - started == pytest.approx(0.5, abs=0.12)


async def test_usual_pace_is_human() -> None:
    events = DemoProvider().stream(request("a story"))
    started = time.monotonic()
    async with aclosing(events):
        await anext(events)
        waited = time.monotonic() - started
        for _ in range(25):
            await anext(events)
    assert 0.2 < waited < 5
    assert 0.3 < time.monotonic() - started - waited < 10


async def test_full_speed_lets_others_run() -> None:
    answers = [asyncio.create_task(ask(request(f"a story {FAST} [[length=20000]]"))) for _ in range(2)]
    turns = 0
    while not all(answer.done() for answer in answers):
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 100  # counted, not timed: the machine may be busy with other things


async def test_thinking_comes_first_and_takes_its_time() -> None:
    started = time.monotonic()
    events, text, _ = await ask(request(f"a story {FAST} [[think=0.3]] [[length=5]]"))
    kinds = [type(event) for event in events]
    assert kinds == [ReasoningDelta] * 15 + [TextDelta] * 5 + [Finished]
    assert 0.15 < time.monotonic() - started < 5
    assert "[[" not in text


def test_thinking_is_heard_from_the_words() -> None:
    assert read_directives("think about it").think_seconds > 0
    assert read_directives("think about it [[think=0]]").think_seconds == 0
    assert read_directives("a story").think_seconds == 0


def test_directives_are_taken_out_and_nonsense_is_passed_over() -> None:
    wanted = read_directives("a [[speed=x]] [[length=-1]] [[after=1e99]] [[nonsense=1]] story [[fault=cut]]")
    assert (wanted.question.split(), wanted.speed, wanted.length, wanted.after) == (["a", "story"], None, None, 20)
    assert wanted.fault == "cut"


@pytest.mark.parametrize(
    ("fault", "code"),
    [("stall", "idle_timeout"), ("cut", "cut"), ("error", "stream_error"), ("eof", "ended_early")],
)
async def test_fault_in_mid_answer_keeps_the_partial(fault: str, code: str) -> None:
    whole = await text_of("a story")
    events, text, raised = await ask(request(f"a story {FAST} [[fault={fault}]] [[after=7]]"))
    assert (len(events), text, raised) == (7, "".join(tokenize(whole)[:7]), code)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("silence", "first_token_timeout"), ("401", "unauthorized"), ("429", "rate_limited")],
)
async def test_fault_before_the_answer_gives_nothing(fault: str, code: str) -> None:
    assert await ask(request(f"a story {FAST} [[fault={fault}]]")) == ([], "", code)


@pytest.mark.parametrize(("fault", "reason"), [("length", "length"), ("filter", "content_filter")])
async def test_fault_may_be_a_finish_reason(fault: str, reason: str) -> None:
    events, _, _ = await ask(request(f"a story {FAST} [[fault={fault}]] [[after=4]]"))
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (len(events), finished.finish_reason) == (5, reason)


async def test_total_deadline_is_kept() -> None:
    _, _, code = await ask(request("a story [[speed=50]] [[length=500]]"), Deadlines(total_seconds=0.3))
    assert code == "total_timeout"


async def test_partial_is_continued_without_the_fault() -> None:
    question = f"a story {FAST} [[length=60]] [[fault=cut]] [[think=1]] [[after=20]]"
    _, partial, code = await ask(request(question))
    events, rest, _ = await ask(request(question, partial=partial))
    assert code == "cut"
    assert partial + rest == (await ask(request(f"a story {FAST} [[length=60]]")))[1]
    assert not any(isinstance(event, ReasoningDelta) for event in events)


async def test_foreign_or_whole_partial_is_added_to() -> None:
    whole = await text_of("a story")
    for partial in (whole, "something quite different"):
        assert (await text_of("a story", partial=partial)).startswith("\n\n")


async def test_closing_ends_a_silent_answer() -> None:
    task = asyncio.create_task(ask(request("a story [[fault=silence]]"), Deadlines()))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@given(st.text(max_size=200), st.integers())
def test_any_question_has_an_answer(question: str, seed: int) -> None:
    parts = compose(question, Random(seed))
    answer = "".join(next(parts) for _ in range(6))
    assert "".join(tokenize(answer)) == answer
    assert title(question)
    read_directives(question)

"""The live document: whatever a viewer misses, it ends with the canonical HTML."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterable

import pytest
from django.db import InterfaceError

from conversations import runner
from conversations.journal import Ending, Hint, Journal
from conversations.live import document as documents
from conversations.live import sse
from conversations.live.bus import bus
from conversations.live.document import LiveDocument, watch
from conversations.live.governor import Governor
from conversations.live.sse import Position
from conversations.live.state import dom_id, read_state
from conversations.models import Delta, Generation
from conversations.rendering.markdown import render
from conversations.threads import reader
from tests.factories import make_conversation, make_running, make_user
from tests.viewer import Viewer, html_of, parse

TEXT = """# Rivers

They **flow** to the [sea][s].

- one
- two

```python
print("<b>")
```

| a | b |
|---|---|
| 1 | 2 |

The end.

[s]: https://example.org/sea
"""
COMPLETED = Ending("completed", finish_reason="stop")


@pytest.fixture
async def generation(process) -> Generation:
    return await reader.call(lambda: make_running(make_conversation(make_user("ada"))))


class Writer:
    """Writes an answer in pieces, as the runner does; with `publish` by a journal of its own, whose hints go there."""

    def __init__(self, generation: Generation, publish: Callable[[Iterable[Hint]], None] | None = None) -> None:
        self.journal = runner.journal if publish is None else Journal(publish)
        self.lane = self.journal.open(generation, on_stop=lambda: None, on_fenced=lambda: None)

    async def write(self, text: str, size: int, kind: str = "text") -> None:
        for start in range(0, len(text), size):
            self.journal.append(self.lane, kind, text[start : start + size])
            await asyncio.sleep(0.001)

    async def finish(self) -> None:
        await self.journal.finish(self.lane, COMPLETED)


def page_of(generation: Generation) -> str:
    name = dom_id(generation.message_id)
    return f'<div id="{name}-rbody"></div><p id="{name}-thought"></p><div id="{name}-body"></div>'


async def follow(generation: Generation, viewer: Viewer, *, drop_every: int = 0, seed: int = 0) -> None:
    """Watch to the end; with `drop_every`, leave and come back with the last event id, now and then with garbage."""
    source = random.Random(seed)
    position, seen = Position(0), 0
    while True:
        async with watch(generation.pk) as document:
            assert document is not None
            assert await document.reach(position)
            while True:
                version = document.version
                frame = document.frame(position)
                if frame is not None:
                    viewer.take(sse.message(frame.data, event_id=str(frame.position)).decode().strip("\n"))
                    position, seen = frame.position, seen + 1
                if document.ended:
                    viewer.take(sse.message(await document.healing_data()).decode().strip("\n"))
                    return
                if frame is not None and drop_every and seen % drop_every == 0:
                    break
                await document.changed(version, 5)
        position = Position.parse(viewer.last_event_id) if source.random() < 0.8 else None


def assert_canonical(viewer: Viewer, text: str, generation: Generation) -> None:
    expected = parse(render(text, id_prefix=f"{dom_id(generation.message_id)}-"))
    body = viewer.find(f"{dom_id(generation.message_id)}-body")
    assert [html_of(block) for block in body] == [html_of(block) for block in expected]


@pytest.mark.parametrize(("size", "drop_every"), [(1, 0), (7, 1), (7, 2), (3, 7), (1000, 1)])
async def test_viewers_end_with_the_canonical_html(generation, size, drop_every):
    writer = Writer(generation)
    viewers = [Viewer(page_of(generation)) for _ in range(3)]
    watching = asyncio.gather(
        *(follow(generation, viewer, drop_every=drop_every, seed=n) for n, viewer in enumerate(viewers))
    )
    await writer.write(TEXT, size)
    await writer.finish()
    await asyncio.wait_for(watching, 20)
    for viewer in viewers:
        assert_canonical(viewer, TEXT, generation)
    assert documents._documents == {}


@pytest.mark.parametrize("treatment", ["lost", "doubled", "reordered"])
async def test_bad_hints_cost_at_most_a_poll(generation, settings, treatment):
    settings.POLL_SECONDS = 0.2
    deliver = bus.deliver

    def publish(hints) -> None:
        hints = list(hints)
        if treatment == "doubled":
            hints = hints * 2
        if treatment == "reordered":
            hints.reverse()
        for hint in hints:
            if treatment != "lost":
                deliver(hint)

    writer, viewer = Writer(generation, publish), Viewer(page_of(generation))
    watching = asyncio.create_task(follow(generation, viewer))
    await writer.write(TEXT, 5)
    await writer.finish()
    await asyncio.wait_for(watching, 5)
    assert_canonical(viewer, TEXT, generation)


async def test_a_pause_shows_what_is_held_until_more_comes(generation, settings):
    settings.STALL_SECONDS = 0.05
    writer, viewer = Writer(generation), Viewer(page_of(generation))
    watching = asyncio.create_task(follow(generation, viewer))
    await writer.write("Some **bold", 50)
    async with asyncio.timeout(5):
        while viewer.answer() != "Some **bold":  # noqa: ASYNC110 - nothing tells when a page has changed
            await asyncio.sleep(0.01)
    await writer.write(" words** here", 50)
    await writer.finish()
    await asyncio.wait_for(watching, 10)
    assert_canonical(viewer, "Some **bold words** here", generation)


async def test_what_a_pause_has_shown_stays_until_it_is_final(generation, settings):
    settings.STALL_SECONDS = 0.3
    writer, viewer = Writer(generation), Viewer(page_of(generation))
    shown: list[str] = []
    take = viewer.take
    viewer.take = lambda message: take(message) or shown.append(viewer.answer())
    watching = asyncio.create_task(follow(generation, viewer))
    await writer.write("One two thr", 50)
    async with asyncio.timeout(5):
        while viewer.answer() != "One two thr":  # noqa: ASYNC110 - nothing tells when a page has changed
            await asyncio.sleep(0.01)
    for letter in "eeeee":
        await writer.write(letter, 1)
        await asyncio.sleep(0.06)
    await writer.write(" four", 50)
    await writer.finish()
    await asyncio.wait_for(watching, 10)
    assert shown[-1] == "One two threeeee four"
    assert [text for text, later in itertools.pairwise(shown) if not later.startswith(text)] == []


async def test_a_viewer_who_was_told_more_elsewhere_loses_nothing(generation, settings):
    # This process has not heard the newest hints; the viewer comes from one that has.
    settings.POLL_SECONDS = 30
    writer = Writer(generation, lambda _hints: None)
    async with watch(generation.pk) as document:
        assert document is not None
        await asyncio.sleep(0.1)
        await writer.write("Some words that came late, and hal", 50)
        async with asyncio.timeout(5):
            while not await Delta.objects.aexists():  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.01)
        assert document.position == Position(0)
        elsewhere = await reader.call(read_state, generation.pk)
        seen = Position(elsewhere.position.operations, elsewhere.renderer.held + 1)
        assert seen.tail > 1
        assert await document.reach(seen)
        assert document.position == seen
        assert document.frame(seen) is None
    await writer.finish()


async def test_hints_that_come_while_the_database_is_read_double_nothing(generation, settings):
    settings.POLL_SECONDS = 30
    kept: list[Hint] = []
    words = [f"w{number}" + documents.SLICE_CHARACTERS * "x" for number in range(5)]  # each a slice of what is read
    writer, viewer = Writer(generation, kept.extend), Viewer(page_of(generation))
    async with watch(generation.pk) as document:
        assert document is not None
        await asyncio.sleep(0.1)
        for word in words:
            await writer.write(f"{word} ", 9_000)
            await asyncio.sleep(0.06)
        reading = asyncio.create_task(document.reach(Position(10**6)))
        while not document.state.next_seq:  # noqa: ASYNC110 - in the middle of taking what was read
            await asyncio.sleep(0)
        for hint in kept:
            bus.deliver(hint)
        assert await reading
        watching = asyncio.create_task(follow(generation, viewer))
        await writer.finish()
        for hint in kept:
            bus.deliver(hint)
        await asyncio.wait_for(watching, 10)
    assert viewer.answer() == " ".join(words)


async def test_hints_that_come_after_the_end_add_nothing(generation, settings):
    settings.POLL_SECONDS = 0.1
    kept: list[Hint] = []
    async with watch(generation.pk) as document:
        assert document is not None
        writer = Writer(generation, kept.extend)
        await writer.write("The last word", 50)
        await writer.finish()
        async with asyncio.timeout(5):
            while not document.ended:  # the database said so before any hint came
                await document.changed(document.version, 1)
        for hint in kept:
            bus.deliver(hint)
        await asyncio.sleep(0.2)
        assert "".join(document.state.renderer.text) == "The last word"


async def test_a_viewer_before_the_first_token_waits(generation):
    async with watch(generation.pk) as document:
        assert document is not None
        assert document.frame(Position(0)) is None
        assert not await document.changed(document.version, 0.1)


async def test_a_position_ahead_of_the_server_is_replaced(generation):
    writer = Writer(generation)
    await writer.write("Some words.\n\nMore", 50)
    async with watch(generation.pk) as document:
        assert document is not None
        async with asyncio.timeout(3):
            while not document.position.operations:
                await document.changed(document.version, 1)
        viewer = Viewer(page_of(generation).replace('-body">', '-body">A forged past.'))
        viewer.take(sse.message(document.frame(Position(9_999)).data).decode().strip("\n"))
        assert "forged" not in viewer.answer()
        assert "Some words." in viewer.answer()
    await writer.finish()


async def test_reasoning_has_its_own_place_and_label(generation):
    writer, viewer = Writer(generation), Viewer(page_of(generation))
    watching = asyncio.create_task(follow(generation, viewer))
    await writer.write("Let me *think*.\n\nYes.", 4, "reasoning")
    await writer.write("The answer.", 4)
    await writer.finish()
    await asyncio.wait_for(watching, 10)
    assert viewer.text("-rbody") == "Let me think. Yes."
    assert viewer.text("-thought") == "Thought for 1 s"
    assert viewer.answer() == "The answer."


async def test_a_deleted_generation_ends_its_viewers(generation, settings):
    settings.POLL_SECONDS = 0.1
    async with watch(generation.pk) as document:
        assert document is not None
        await reader.call(generation.message.conversation.delete)
        async with asyncio.timeout(3):
            while not document.ended:
                await document.changed(document.version, 1)
        assert document.gone


async def test_an_unknown_generation_has_no_document(generation):
    async with watch(generation.message_id) as document:
        assert document is None


async def test_the_last_viewer_takes_the_document_along(generation):
    async with watch(generation.pk) as first, watch(generation.pk) as second:
        assert first is second
        assert documents._documents == {generation.pk: first}
    assert documents._documents == {}
    bus.deliver(Hint(generation.pk, "ended"))
    assert isinstance(first, LiveDocument)


async def test_the_governor_spaces_frames_when_rendering_is_costly(settings):
    governor = Governor()
    assert governor.interval(settings.FRAME_SECONDS) == settings.FRAME_SECONDS
    for _ in range(500):
        governor.note(0.002, 200)
    assert governor.interval(settings.FRAME_SECONDS) == pytest.approx(0.002 * 200 / governor.SHARE, rel=0.01)


async def test_a_document_that_fails_ends_its_viewers(generation, settings, caplog):
    settings.POLL_SECONDS = 0.1
    row = Generation.objects.filter(pk=generation.pk)
    async with watch(generation.pk) as document:
        assert document is not None
        part_without_text = {"kind": "text"}
        await reader.call(row.update, status="completed", finish_reason="stop", output=[part_without_text])
        async with asyncio.timeout(3):
            while not document.ended:
                await document.changed(document.version, 1)
        assert document.gone
    assert "cannot be shown" in caplog.text


async def test_a_document_survives_a_connection_that_was_closed(generation, settings, monkeypatch):
    settings.POLL_SECONDS = 0.05
    real, failures = documents.replay, iter([InterfaceError("connection already closed")])

    def flaky(*arguments, **options):
        for failure in failures:
            raise failure
        return real(*arguments, **options)

    monkeypatch.setattr(documents, "replay", flaky)
    writer, viewer = Writer(generation), Viewer(page_of(generation))
    watching = asyncio.create_task(follow(generation, viewer))
    await writer.write(TEXT, 20)
    await writer.finish()
    await asyncio.wait_for(watching, 10)
    assert_canonical(viewer, TEXT, generation)

"""The live document: whatever a viewer misses, it ends with the canonical HTML."""

from __future__ import annotations

import asyncio
import random

import pytest

from conversations import runner
from conversations.journal import Ending, Hint
from conversations.live import document as documents
from conversations.live import sse
from conversations.live.bus import bus
from conversations.live.document import LiveDocument, watch
from conversations.live.sse import Position
from conversations.live.state import dom_id
from conversations.models import Generation
from conversations.rendering.markdown import render
from conversations.threads import reader
from tests.factories import make_conversation, make_running, make_user
from tests.viewer import Viewer, parse, shown_text

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
    """Writes an answer in pieces, as the runner does."""

    def __init__(self, generation: Generation) -> None:
        self.lane = runner.journal.open(generation, on_stop=lambda: None, on_fenced=lambda: None)

    async def write(self, text: str, size: int, kind: str = "text") -> None:
        for start in range(0, len(text), size):
            runner.journal.append(self.lane, kind, text[start : start + size])
            await asyncio.sleep(0.001)

    async def finish(self) -> None:
        await runner.journal.finish(self.lane, COMPLETED)


def page_of(generation: Generation) -> str:
    name = dom_id(generation.message_id)
    return (
        f'<div id="{name}-rbody"></div><div id="{name}-rtail"></div><p id="{name}-thought"></p>'
        f'<div id="{name}-body"></div><div id="{name}-tail"></div>'
    )


async def follow(generation: Generation, viewer: Viewer, *, drop_every: int = 0, seed: int = 0) -> None:
    """Watch to the end; with `drop_every`, leave and come back with the last event id, now and then with garbage."""
    source = random.Random(seed)
    position, seen = Position(0, 0), 0
    while True:
        async with watch(generation.pk) as document:
            assert document is not None
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
    expected = render(text, id_prefix=f"{dom_id(generation.message_id)}-")
    body = viewer.find(f"{dom_id(generation.message_id)}-body")
    assert shown_text(body) == shown_text(parse(expected))
    assert viewer.answer() == shown_text(parse(expected))


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
async def test_bad_hints_cost_at_most_a_poll(generation, monkeypatch, settings, treatment):
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

    monkeypatch.setattr(runner.journal, "_publish", publish)
    writer, viewer = Writer(generation), Viewer(page_of(generation))
    watching = asyncio.create_task(follow(generation, viewer))
    await writer.write(TEXT, 5)
    await writer.finish()
    await asyncio.wait_for(watching, 5)
    assert_canonical(viewer, TEXT, generation)


async def test_a_viewer_before_the_first_token_waits(generation):
    async with watch(generation.pk) as document:
        assert document is not None
        assert document.frame(Position(0, 0)) is None
        assert not await document.changed(document.version, 0.1)


async def test_a_position_ahead_of_the_server_is_replaced(generation):
    writer = Writer(generation)
    await writer.write("Some words.\n\nMore", 50)
    async with watch(generation.pk) as document:
        assert document is not None
        async with asyncio.timeout(3):
            while not document.state.position.characters:
                await document.changed(document.version, 1)
        viewer = Viewer(page_of(generation).replace('-body">', '-body">A forged past.'))
        viewer.take(sse.message(document.frame(Position(99, 99_999)).data).decode().strip("\n"))
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
    assert viewer.text("-rtail") == ""
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
    governor = documents.Governor()
    assert governor.interval() == settings.FRAME_SECONDS
    for _ in range(500):
        governor.note(0.002, 200)
    assert governor.interval() == pytest.approx(0.002 * 200 / governor.SHARE, rel=0.01)

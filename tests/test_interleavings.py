"""A stateful property: whatever happens in whatever order, every viewer ends with the canonical text.

Hypothesis chooses what happens next to one generation that several writers write in turn and several viewers watch:
text is appended, a writer dies or hands over, a lease runs out and somebody else takes over, a zombie goes on writing,
viewers come, go and come back to other processes, hints are lost, doubled or late, a user stops it, it ends. After
each step the invariants hold: no viewer has seen anything that is not durable, nothing that was seen is taken back, and
what is durable only grows. A failing sequence is made short by Hypothesis and printed as a program.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any

from django.db import connections
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from conversations.generating import claims
from conversations.journal import Ending, Hint, Journal, replay
from conversations.live import sse
from conversations.live.bus import bus
from conversations.live.document import LiveDocument
from conversations.live.sse import Position
from conversations.live.state import read_state
from conversations.models import Conversation, Generation
from conversations.threads import reader
from tests.factories import make_conversation, make_model, make_running, make_user
from tests.test_document import page_of
from tests.viewer import Viewer

EXAMPLES = int(os.environ.get("INTERLEAVINGS", "12"))
WORDS = "".join(f"w{number} " for number in range(400))
COMPLETED = Ending("completed", finish_reason="stop")


class Writer:
    """A process that writes, with a journal of its own."""

    def __init__(self, generation: Generation, machine: Interleavings, next_seq: int = 0) -> None:
        self.journal = Journal(machine.hints.extend)
        self.fenced = self.stopped = False
        self.lane = self.journal.open(generation, next_seq=next_seq, on_stop=self._stop, on_fenced=self._fence)

    def _stop(self) -> None:
        self.stopped = True

    def _fence(self) -> None:
        self.fenced = True


class Tab:
    """A viewer at one of several processes, each of which has a live document of its own."""

    def __init__(self, page: str) -> None:
        self.viewer = Viewer(page)
        self.position: Position | None = Position(0)
        self.document: LiveDocument | None = None
        self.seen = ""


class Interleavings(RuleBasedStateMachine):
    """One generation, its writers and its viewers."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.hints: list[Hint] = []
        self.documents: dict[int, LiveDocument] = {}
        self.zombies: list[Writer] = []
        self.tabs: list[Tab] = []
        self.durable = ""
        self.ended = False

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something to its end in the event loop of this example."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 30))

    def ask(self, function: Any, *arguments: Any, **options: Any) -> Any:
        return self.do(reader.call(function, *arguments, **options))

    @initialize()
    def begin(self) -> None:
        def make() -> Generation:
            user = make_user(f"user{os.urandom(6).hex()}")
            model = make_model(prefill="continue_final_message", base_url=f"http://{os.urandom(6).hex()}.test/v1")
            return make_running(make_conversation(user, model=model))

        self.generation = self.ask(make)
        self.writer = self.do(self._open(self.generation))
        self.written = 0

    async def _open(self, generation: Generation, next_seq: int = 0) -> Writer:
        return Writer(generation, self, next_seq)

    @precondition(lambda self: not self.ended and self.written < len(WORDS) - 60)
    @rule(size=st.integers(1, 60))
    def append(self, size: int) -> None:
        text = WORDS[self.written : self.written + size]
        self.written += size

        async def append() -> None:
            self.writer.journal.append(self.writer.lane, "text", text)

        self.do(append())

    @rule(milliseconds=st.sampled_from([0, 15, 40]))
    def wait(self, milliseconds: int) -> None:
        self.do(asyncio.sleep(milliseconds / 1000))

    @precondition(lambda self: not self.ended)
    @rule(in_good_order=st.booleans())
    def take_over(self, in_good_order: bool) -> None:
        if in_good_order:
            assert self.do(self.writer.journal.hand_back(self.writer.lane))
        else:
            self.ask(Generation.objects.filter(pk=self.generation.pk).release)
        self.zombies.append(self.writer)
        self.ask(Generation.objects.filter(pk=self.generation.pk).update, takeovers=0)  # as many as we like
        job = self.ask(claims.claim, self.generation.pk)
        assert WORDS.startswith(job.plan.request.partial)
        if job.ending is not None:  # a stop was asked for meanwhile
            self.writer = self.do(self._open(job.generation, job.next_seq))
            assert self.do(self.writer.journal.finish(self.writer.lane, job.ending))
            self.ended = True
            return
        self.writer = self.do(self._open(job.generation, job.next_seq))
        self.written = len(job.plan.request.partial)

    @precondition(lambda self: self.zombies)
    @rule()
    def write_from_the_grave(self) -> None:
        async def append() -> None:
            self.zombies[-1].journal.append(self.zombies[-1].lane, "text", "a word from the grave")

        self.do(append())

    @rule(number=st.integers(0, 1), garbage=st.sampled_from([False, False, False, True]))
    def look(self, number: int, garbage: bool) -> None:
        """A viewer comes, for the first time or again, to process 0 or 1."""
        if len(self.tabs) < 3:
            self.tabs.append(Tab(page_of(self.generation)))
        tab = self.tabs.pop(0)
        self.tabs.append(tab)
        if garbage:
            tab.position, tab.seen = None, ""
        tab.document = self.do(self._document(number))
        assert self.do(tab.document.reach(tab.position))
        self._update(tab)

    async def _document(self, number: int) -> LiveDocument:
        if number not in self.documents:
            self.documents[number] = LiveDocument(self.generation.pk, await reader.call(read_state, self.generation.pk))
        return self.documents[number]

    def _update(self, tab: Tab) -> None:
        if tab.document is None:
            return
        frame = tab.document.frame(tab.position)
        if frame is not None:
            tab.viewer.take(sse.message(frame.data, event_id=str(frame.position)).decode().strip("\n"))
            tab.position = frame.position

    @rule(number=st.integers(0, 1))
    def forget(self, number: int) -> None:
        """A web process ends; who watched there has to come back."""
        document = self.documents.pop(number, None)
        if document is not None:
            self.do(self._close(document))
            for tab in self.tabs:
                tab.document = None if tab.document is document else tab.document

    async def _close(self, document: LiveDocument) -> None:
        document.close()

    @rule(fate=st.sampled_from(["lost", "doubled", "late", "reversed", "right"]))
    def deliver(self, fate: str) -> None:
        """What the bus makes of the hints so far."""

        async def deliver() -> None:
            hints = list(self.hints)
            if fate != "late":
                self.hints.clear()
            hints = {"lost": [], "doubled": hints * 2, "reversed": hints[::-1]}.get(fate, hints)
            for hint in hints:
                bus.deliver(hint)
            await asyncio.sleep(0.03)

        self.do(deliver())

    @precondition(lambda self: not self.ended)
    @rule()
    def ask_for_stop(self) -> None:
        self.ask(Generation.request_stop, Generation.objects.filter(pk=self.generation.pk))

    @precondition(lambda self: not self.ended)
    @rule()
    def finish(self) -> None:
        ending = Ending("stopped") if self.writer.stopped else COMPLETED
        assert self.do(self.writer.journal.finish(self.writer.lane, ending))
        self.ended = True

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        if not hasattr(self, "generation"):
            return
        for tab in self.tabs:
            self._update(tab)
        progress = self.ask(replay, self.generation.pk)
        parts = progress.output if progress.ended else [{"text": delta.text} for delta in progress.deltas]
        durable = "".join(part["text"] for part in parts)
        assert durable.startswith(self.durable), "what was durable only grows"
        assert WORDS.startswith(durable), "nothing but what was written, once and in order"
        self.durable = durable
        for tab in self.tabs:
            shown = tab.viewer.answer()
            assert durable.startswith(shown), f"shown and not durable: {shown[-40:]!r}"
            assert shown.startswith(tab.seen), f"taken back: {tab.seen[-40:]!r} became {shown[-40:]!r}"
            tab.seen = shown

    def teardown(self) -> None:
        try:
            if hasattr(self, "generation"):
                if not self.ended:
                    self.finish()
                self._all_end_alike()
        finally:
            for document in self.documents.values():
                self.do(self._close(document))
            for writer in (*self.zombies, *([self.writer] if hasattr(self, "writer") else [])):
                writer.journal.leave(writer.lane)
                self.do(asyncio.wait_for(writer.journal.idle(), 5))
                self.do(writer.journal.close())
            self.ask(Conversation.objects.all().delete)
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()

    def _all_end_alike(self) -> None:
        row = self.do(self._row())
        stored = "".join(part["text"] for part in row.output)
        assert row.status in {"completed", "stopped"}
        assert WORDS.startswith(stored)
        for number, tab in enumerate(self.tabs):
            tab.document = self.do(self._document(number % 2))

            async def see_the_end(document: LiveDocument) -> None:
                while not document.ended:
                    await document.changed(document.version, 1)

            assert self.do(tab.document.reach(tab.position))
            self.do(see_the_end(tab.document))
            self._update(tab)
            tab.viewer.take(sse.message(self.do(tab.document.healing_data())).decode().strip("\n"))
            assert tab.viewer.answer() == stored.strip()

    async def _row(self) -> Generation:
        return await Generation.objects.aget(pk=self.generation.pk)


def test_any_interleaving_ends_with_every_viewer_equal_to_the_text(transactional_db, settings):
    settings.POLL_SECONDS = 0.5
    settings.STALL_SECONDS = 0.05
    settings.FRAME_SECONDS = 0.01
    run_state_machine_as_test(Interleavings, settings=_settings())
    asyncio.run(reader.close())
    connections.close_all()


def _settings() -> settings:
    return settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )

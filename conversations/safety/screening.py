"""What stands between a provider and the journal: the filters, and the services that say whether a text may be shown.

Nothing that a rule takes out of an answer is written anywhere: not in the journal, and not in the log. What is held
back when a generation ends before its model does (stopped, broken off, handed over) is dropped: it has never been
visible, and who continues the answer has the model write it again behind the last durable character.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from conversations.filters.base import Rule
from conversations.filters.redactor import Piece, Redactor
from conversations.generating.endings import blocked
from conversations.journal import Ending
from conversations.models import Delta, FilterRule, Generation
from conversations.safety.filtering import Filters, ServiceRule
from conversations.safety.gate import Gate, Waiting
from conversations.safety.moderation import database, filters_of, soon, tell

logger = logging.getLogger(__name__)

Write = Callable[[str, str, tuple[tuple[int, str], ...]], None]


class Blocked(Exception):
    """A rule ends the answer; `ending` is how."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.error_code)
        self.ending = ending


async def open_screen(generation: Generation, partial: str, write: Write, end: Callable[[Ending], None]) -> Screen:
    """Return the screen of an answer by the rules of this moment; `partial` is what is visible of it already.

    `write` gets what may be shown: kind, text, and where in it something was replaced, by which label. `end` is called
    with the end that a service wants, at any moment.
    """
    filters = await database.call(filters_of, generation, FilterRule.Direction.OUTPUT)
    return Screen(generation, filters, partial, write, end)


class Screen:
    """Passes an answer through its filters: `take` each delta, then `finish`, or `settle` when it broke off."""

    def __init__(
        self,
        generation: Generation,
        filters: Filters,
        partial: str,
        write: Write,
        end: Callable[[Ending], None],
    ) -> None:
        self._generation = generation
        self._filters = filters
        self._partial = partial
        self._write = write
        self._redactors: dict[str, Redactor] = {}
        self._watchers: dict[str, Redactor] = {}
        self._noted: set[int] = set()
        blocking = [rule for rule in filters.services if rule.action == "block"]
        looking = [rule for rule in filters.services if rule.action != "block"]
        self._gate = Gate(blocking, self._pass, lambda rule, why: end(self._block(rule, why))) if blocking else None
        self._lookout = Gate(looking, None, self._note) if looking else None

    async def take(self, kind: str, text: str) -> None:
        """Take a delta. Raises `Blocked`."""
        if not self._filters:
            self._write(kind, text, ())
            return
        if self._filters.watching:
            self._watch(self._redactor(self._watchers, kind, self._filters.watching), text)
        if self._lookout is not None:
            self._lookout.offer(Waiting(kind, text))
        if self._filters.changing:
            redactor = self._redactor(self._redactors, kind, self._filters.changing)
            await self._emit(kind, redactor, redactor.feed(text))
        else:
            await self._through_gate(Waiting(kind, text))

    async def finish(self) -> None:
        """Decide what is held back: the model has ended. Raises `Blocked`."""
        for watcher in self._watchers.values():
            self._hits(watcher, watcher.flush())
        for kind, redactor in self._redactors.items():
            await self._emit(kind, redactor, redactor.flush())
        await self.settle()

    async def settle(self) -> None:
        """Have the services judge what waits for them; what may be the beginning of something is let go of."""
        if self._gate is not None:
            await self._gate.drain()
        if self._lookout is not None:
            soon(self._lookout.drain())

    def abandon(self) -> None:
        """Let go of everything at once; harmless after `settle`."""
        if self._gate is not None:
            self._gate.abandon()
        if self._lookout is not None:
            soon(self._lookout.drain())

    def _redactor(self, known: dict[str, Redactor], kind: str, rules: tuple[Rule, ...]) -> Redactor:
        if kind not in known:
            known[kind] = Redactor(rules, self._partial if kind == Delta.Kind.TEXT else "")
        return known[kind]

    def _watch(self, watcher: Redactor, text: str) -> None:
        self._hits(watcher, watcher.feed(text))

    def _hits(self, watcher: Redactor, piece: Piece) -> None:
        for mark in piece.marks:
            self._note(mark.rule, "matched")
        self._say_slow(watcher)

    async def _emit(self, kind: str, redactor: Redactor, piece: Piece) -> None:
        self._say_slow(redactor)
        if piece.text:
            marks = tuple((mark.offset, mark.rule.label) for mark in piece.marks if mark.rule.action == "redact")
            await self._through_gate(Waiting(kind, piece.text, marks))
        if piece.blocked is not None:
            await self.settle()
            raise Blocked(self._block(piece.blocked, "matched"))

    async def _through_gate(self, piece: Waiting) -> None:
        if self._gate is None:
            self._pass(piece)
        else:
            await self._gate.put(piece)

    def _pass(self, piece: Waiting) -> None:
        self._write(piece.kind, piece.text, piece.redactions)

    def _block(self, rule: Rule | ServiceRule, why: str) -> Ending:
        self._note(rule, why)
        return blocked(rule.sentence)

    def _note(self, rule: Rule | ServiceRule, why: str) -> None:
        """Tell of a rule that found something, once for each answer."""
        if rule.pk not in self._noted:
            self._noted.add(rule.pk)
            soon(tell(self._generation, rule, FilterRule.Direction.OUTPUT, why))

    def _say_slow(self, redactor: Redactor) -> None:
        while redactor.too_slow:
            rule = redactor.too_slow.pop()
            logger.warning("Filter rule %s took too long for an answer and is left out of it", rule.pk)
            self._note(rule, "too slow")

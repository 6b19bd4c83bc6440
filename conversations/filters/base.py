"""What the detectors of a filter have in common, and the words in which they answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, Protocol

Action = Literal["redact", "block", "flag", "audit"]

CONTEXT = 96  # characters before a match that may decide whether it is one


class Swallow(Protocol):
    """What becomes of the text behind a match whose length has no bound."""

    def consume(self, text: str) -> tuple[int, bool]:
        """Return how many of these characters belong to the match for sure, and whether it ends there."""

    def end(self, text: str) -> int:
        """Return how many belong to it when nothing comes after this text."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where something was found, as positions in the text that was searched; `swallow` takes what follows it."""

    start: int
    end: int
    swallow: Swallow | None = None


class Detector(ABC):
    """Finds one kind of thing in a folded text (see `folding`).

    Whether a match begins at a position, and how long it is, depends only on `CONTEXT` characters before it and a
    bounded number behind it. `opening` must be on the safe side: what begins before it is decided, whatever follows.
    """

    @abstractmethod
    def find(self, text: str, start: int, limit: int) -> Match | None:
        """Return the leftmost match that begins at `start` or behind it, and before `limit`."""

    @abstractmethod
    def opening(self, text: str, start: int) -> int:
        """Return the first position from `start` on where a match may begin that the end of the text leaves open.

        It is the length of the text when there is none.
        """


class TooSlow(Exception):
    """A pattern of somebody's own took longer than it may."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What to look for, and what to do about it. `label` stands in the answer instead of what was found."""

    pk: int
    action: Action
    detector: Detector = field(repr=False)
    label: str
    sentence: str = ""

    @property
    def mark(self) -> str:
        """What is shown instead."""
        return f"[redacted: {self.label}]"

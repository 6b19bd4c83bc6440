"""How fast answers are shown, and experiments about it: arms with a pace of their own, each user in one of them.

A user's arm follows from a hash of the user's number and the names of the arms, so that every process, and every later
look, finds the same one; it is noted with each generation all the same, because the arms of tomorrow may be others.
Reads the settings when it is asked, not when it is imported: the settings themselves read their arms with `parse`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from django.conf import settings

MOST_ARMS = 6
_NAME = re.compile(r"[a-z][a-z0-9_]{0,19}")
# What an arm may set, in milliseconds: the least and the most.
_BOUNDS = {"frame_ms": (10, 2_000), "stall_ms": (50, 60_000)}


@dataclass(frozen=True, slots=True)
class Pace:
    """The least time between two frames, and the pause after which what is held is shown too, in seconds."""

    frame_seconds: float
    stall_seconds: float


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm; what is None is as for everybody."""

    name: str
    frame_ms: int | None = None
    stall_ms: int | None = None


def parse(text: str) -> tuple[Arm, ...]:
    """Read `steady:frame_ms=50,fast:frame_ms=25;stall_ms=500`. Raises `ValueError` with a sentence."""
    arms = tuple(_arm(part.strip()) for part in text.split(",") if part.strip())
    if len(arms) > MOST_ARMS:
        raise ValueError(f"at most {MOST_ARMS} arms")
    if len({arm.name for arm in arms}) < len(arms):
        raise ValueError("two arms have one name")
    return arms


def _arm(text: str) -> Arm:
    name, _, values = text.partition(":")
    if not _NAME.fullmatch(name):
        raise ValueError(f"“{name}” is no name of an arm: small letters, digits and _, at most 20")
    found = {}
    for pair in filter(None, values.split(";")):
        key, _, value = pair.partition("=")
        least, most = _BOUNDS.get(key, (1, 0))
        if not value.isdecimal() or not least <= int(value) <= most:
            known = ", ".join(f"{known}={low}..{high}" for known, (low, high) in _BOUNDS.items())
            raise ValueError(f"“{pair}” cannot be set; what can be: {known}")
        found[key] = int(value)
    return Arm(name, **found)


def arm_of(user_id: int) -> str:
    """Return the name of a user's arm; empty when there are no arms."""
    arms: tuple[Arm, ...] = settings.PACING_ARMS
    if not arms:
        return ""
    seed = f"{','.join(arm.name for arm in arms)}:{user_id}"
    return arms[int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) % len(arms)].name


def pace_of(name: str) -> Pace:
    """Return the pace of an arm; that of everybody for one that is no more."""
    arm = next((arm for arm in settings.PACING_ARMS if arm.name == name), Arm(""))
    return Pace(
        settings.FRAME_SECONDS if arm.frame_ms is None else arm.frame_ms / 1000,
        settings.STALL_SECONDS if arm.stall_ms is None else arm.stall_ms / 1000,
    )

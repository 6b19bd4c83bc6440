"""Charts as numbers for a template: where lines, bars and labels stand within an SVG of fixed size.

No colours and no words here: those are the stylesheet's and the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 28
STEPS = 4
MOST_LABELS = 6
NOTHING = "\u2013"
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart; None where there is nothing to tell."""

    name: str
    values: Values


@dataclass(frozen=True, slots=True)
class Mark:
    """A point or a bar with the words that a pointer over it shows."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """One series as it stands in the SVG: pieces of line between gaps, and a mark for each value."""

    number: int
    name: str
    lines: list[str]
    marks: list[Mark]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart and the table that says the same."""

    name: str
    title: str
    unit: str
    drawn: list[Drawn]
    grid: list[tuple[float, str]]
    labels: list[tuple[float, str]]
    head: list[str]
    rows: list[tuple[str, list[str]]]
    bars: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not any(series.marks for series in self.drawn)


def lines(name: str, title: str, unit: str, moments: Sequence[str], *series: Series) -> Chart:
    """Draw one line for each series over the same moments."""
    return _chart(_Frame(name, title, unit, moments), series, _points)


def bars(name: str, title: str, unit: str, moments: Sequence[str], series: Series) -> Chart:
    """Draw one bar for each moment."""
    return _chart(_Frame(name, title, unit, moments), (series,), _bars)


@dataclass(frozen=True, slots=True)
class _Frame:
    name: str
    title: str
    unit: str
    moments: Sequence[str]


def _chart(frame: _Frame, series: Sequence[Series], draw: Callable[..., list[Mark | None]]) -> Chart:
    moments = frame.moments
    top = _round_up(max((value for one in series for value in one.values if value is not None), default=0))
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(moments))
    every = math.ceil(len(moments) / MOST_LABELS) or 1
    return Chart(
        frame.name,
        frame.title,
        frame.unit,
        [_drawn(number, one, draw(one, moments, top, slot)) for number, one in enumerate(series)],
        [(round(_y(top * step / STEPS, top), 1), figure(top * step / STEPS)) for step in range(STEPS + 1)],
        [(round(LEFT + slot * (at + 0.5), 1), moments[at]) for at in range(0, len(moments), every)],
        [one.name for one in series],
        [(moment, [figure(one.values[at]) for one in series]) for at, moment in enumerate(moments)],
        bars=draw is _bars,
    )


def _drawn(number: int, series: Series, marks: list[Mark | None]) -> Drawn:
    pieces: list[list[str]] = [[]]
    for mark in marks:
        if mark is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{mark.x},{mark.y}")
    lines = [" ".join(piece) for piece in pieces if len(piece) > 1]
    return Drawn(number, series.name, lines, [mark for mark in marks if mark is not None])


def _points(series: Series, moments: Sequence[str], top: float, slot: float) -> list[Mark | None]:
    return [
        None
        if value is None
        else Mark(round(LEFT + slot * (at + 0.5), 1), round(_y(value, top), 1), 0, 0, f"{moments[at]}: {figure(value)}")
        for at, value in enumerate(series.values)
    ]


def _bars(series: Series, moments: Sequence[str], top: float, slot: float) -> list[Mark | None]:
    return [
        None
        if not value
        else Mark(
            round(LEFT + slot * (at + 0.1), 1),
            round(_y(value, top), 1),
            round(slot * 0.8, 1),
            round(HEIGHT - BOTTOM - _y(value, top), 1),
            f"{moments[at]}: {figure(value)}",
        )
        for at, value in enumerate(series.values)
    ]


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value / top)


def _round_up(value: float) -> float:
    """Return the end of the axis: 1, 2, 4 or 8 times a power of ten, so that its quarters are round too."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 8, 10) if value <= power * step * (1 + 1e-9))


def figure(value: float | None) -> str:
    """Return a number as people read it: at most three digits that matter."""
    if value is None:
        return NOTHING
    if value == 0 or abs(value) >= 100:  # noqa: PLR2004 - three digits
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"

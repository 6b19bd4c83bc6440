"""The parameters of a request that users may set, with their ranges. Plain values in and out.

A value that is not set is not sent: the service's own default holds. What is not in `RANGES` or `CHOICES` is refused
where it comes in, and never sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Parameters = dict[str, float | int | str]

# For each number its least and its greatest value, and its type.
RANGES: dict[str, tuple[float, float, type]] = {
    "temperature": (0.0, 2.0, float),
    "top_p": (0.01, 1.0, float),
    "max_tokens": (1, 1_000_000, int),
    "seed": (0, 2**31 - 1, int),  # not in the forms: for those who compare models
}
CHOICES: dict[str, tuple[str, ...]] = {"reasoning_effort": ("minimal", "low", "medium", "high")}
NAMES = (*RANGES, *CHOICES)


class BadParameter(ValueError):
    """`name` is no parameter, or its value is not in its range."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def checked(values: Mapping[str, Any]) -> Parameters:
    """Return the parameters that are set, in the order of `NAMES`. Raises `BadParameter`."""
    for name in values:
        if name not in NAMES:
            raise BadParameter(str(name)[:100])
    return {name: _checked(name, values[name]) for name in NAMES if values.get(name) not in (None, "")}


def _checked(name: str, value: Any) -> float | int | str:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise BadParameter(name)
        return str(value)
    least, most, kind = RANGES[name]
    # A truth value is a number for Python; NaN is in no range.
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadParameter(name)
    if kind is int and value != int(value):
        raise BadParameter(name)
    return int(value) if kind is int else float(value)


def usable(values: Mapping[str, Any]) -> Parameters:
    """Return what of stored parameters can be sent, whoever has stored them."""
    good: Parameters = {}
    for name, value in values.items():
        try:
            good |= checked({name: value})
        except BadParameter:
            continue
    return good

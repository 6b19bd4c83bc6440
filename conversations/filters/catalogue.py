"""The kinds of things that rules look for, by name."""

from __future__ import annotations

from conversations.filters.base import Detector
from conversations.filters.blocks import PrivateKeys
from conversations.filters.numbers import Accounts, Cards, Telephones
from conversations.filters.patterns import own_pattern, own_words
from conversations.filters.words import Addresses, Secrets

# What a kind finds, each with what is shown instead of it. Where two find something at one place, the first counts.
BUILT_IN: dict[str, tuple[tuple[Detector, str], ...]] = {
    "secrets": ((PrivateKeys(), "private key"), (Secrets(), "secret")),
    "email": ((Addresses(), "e-mail"),),
    "card": ((Cards(), "card number"),),
    "iban": ((Accounts(), "IBAN"),),
    "phone": ((Telephones(), "phone number"),),
}


def detectors(kind: str, source: str = "", *, ignore_case: bool = True) -> tuple[tuple[Detector, str], ...]:
    """Return what finds things of a kind, with their labels. Raises `BadPattern` for a `source` that cannot be used."""
    if kind == "pattern":
        return ((own_pattern(source, ignore_case=ignore_case), "text"),)
    if kind == "words":
        return ((own_words(source), "text"),)
    return BUILT_IN[kind]

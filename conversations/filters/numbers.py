"""Things made of numbers: telephone numbers, payment cards, bank accounts."""

from __future__ import annotations

import re

from conversations.filters.base import Detector, Match

LONGEST = 90  # characters that decide whether a match begins
_NUMBER = "0123456789 ()./+-"
_FIRST = re.compile(r"[0-9(+]")
_GAP = r"(?:[ \-./]|[ ]?\(|\)[ ]?)?"
_DATE = re.compile(r"\+?(?:(?:19|20)\d\d([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2(?:19|20)?\d\d)(?![-/.]?\d)", re.ASCII)
_TELEPHONE = re.compile(
    rf"""
    (?<![\w+./-]) (?:
        \+(?=[1-9])(?:\d{_GAP}){{7,14}}\d                                  # international
        | 00(?=[1-9])\d{{1,3}}[ \-/(](?:\d{_GAP}){{5,12}}\d
        | (?:1[ .-])?(?:\([2-9]\d\d\)[ ]?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{{4}}    # North America
        | 1[3-9]\d[ -]\d{{4}}[ -]\d{{4}}                                          # China
        | \(0[1-9]\d{{1,4}}\)[ ]?\d{{3,8}}(?:[ -]\d{{2,5}}){{0,2}}                # (030) 1234567
        | 0[1-9]\d{{0,4}}(?=(?:[ /-]?\d){{6}})(?:[ /-]\d{{2,8}}){{1,4}}    # with the 0 of a national call
        | 0[1-9](?:\.\d\d){{4}}                                                   # France
    ) (?![\w]|[-./]\d)
    """,
    re.ASCII | re.VERBOSE,
)
_FEWEST, _MOST = 8, 15  # digits
_CARD = re.compile(r"(?<!\d)(?<!\d\.)[2-6](?:[ -]{0,2}\d){12,18}(?!\d)", re.ASCII)
_GROUP = re.compile(r"\d+", re.ASCII)
_SHORTEST_CARD = 13

_LETTERS_AND_DIGITS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d", re.ASCII)
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO",
        "16": "BE",
        "18": "DK FI FO GL NL SD",
        "19": "MK SI",
        "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH HR LI LV",
        "22": "BG BH CR DE GB GE IE ME RS VA",
        "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "LY PT ST",
        "26": "IS TR",
        "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO EG FK GT HN HU LB NI PL SV",
        "29": "BR PS QA UA",
        "30": "JO KW MU YE",
        "31": "MT SC",
        "32": "LC",
        "33": "RU",
    }.items()
    for country in countries.split()
}


def _last_number(text: str, start: int) -> int:
    """Return where the numbers begin that a text ends with; its length when it ends otherwise."""
    first = _FIRST.search(text, max(start, len(text.rstrip(_NUMBER)), len(text) - LONGEST))
    return first.start() if first else len(text)


class Telephones(Detector):
    """International numbers, and national ones in the shapes of common countries; bare digits are no number."""

    def find(self, text: str, start: int, limit: int) -> Match | None:
        """See `Detector`."""
        while (match := _TELEPHONE.search(text, start)) and match.start() < limit:
            digits = sum(character.isdigit() for character in match[0])
            if _FEWEST <= digits <= _MOST and not _DATE.match(match[0]):
                return Match(match.start(), match.end())
            start = match.start() + 1
        return None

    def opening(self, text: str, start: int) -> int:
        """See `Detector`."""
        return _last_number(text, start)


class Cards(Detector):
    """Numbers of payment cards: 13 to 19 digits of the networks in use, with the check digit of Luhn."""

    def find(self, text: str, start: int, limit: int) -> Match | None:
        """See `Detector`."""
        while (match := _CARD.search(text, start)) and match.start() < limit:
            if end := _end_of_card(text, match.start(), match.end()):
                return Match(match.start(), end)
            start = match.start() + 1
        return None

    def opening(self, text: str, start: int) -> int:
        """See `Detector`."""
        return _last_number(text, start)


def _end_of_card(text: str, start: int, end: int) -> int:
    """Return where the longest card ends that begins at `start`, by `end`; 0 when there is none."""
    for group in reversed(list(_GROUP.finditer(text, start, end))):
        digits = re.sub(r"\D", "", text[start : group.end()])
        if len(digits) < _SHORTEST_CARD:
            break
        if luhn(digits):
            return group.end()
    return 0


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004 - ISO/IEC 7812-1


class Accounts(Detector):
    """International bank account numbers: of a known country, as long as its are, with their check digits."""

    def find(self, text: str, start: int, limit: int) -> Match | None:
        """See `Detector`."""
        for match in _IBAN.finditer(text, start):
            if match.start() >= limit:
                break
            end, missing = _end_of_account(text, match.start())
            if not missing and _checks(text[match.start() : end]):
                return Match(match.start(), end)
        return None

    def opening(self, text: str, start: int) -> int:
        """See `Detector`."""
        for match in _IBAN.finditer(text, max(start, len(text) - LONGEST)):
            end, missing = _end_of_account(text, match.start())
            if missing and end >= len(text):
                return match.start()
        return max(start, len(text.rstrip(_LETTERS_AND_DIGITS)), len(text) - LONGEST)


def _end_of_account(text: str, start: int) -> tuple[int, int]:
    """Return where reading an account ends, and how many characters it lacks there."""
    missing = _IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
    position = start
    while missing and position < len(text):
        if text[position] in " -" and position + 1 < len(text):
            position += 1
        character = text[position]
        if not (character.isascii() and character.isalnum()):
            return (len(text) if position + 1 == len(text) and character in " -" else position), missing
        position, missing = position + 1, missing - 1
    return position, missing


def _checks(account: str) -> bool:
    """Whether the check digits of an account hold (ISO 13616: modulo 97)."""
    plain = re.sub("[ -]", "", account).upper()
    return len(plain) > 4 and int("".join(str(int(digit, 36)) for digit in plain[4:] + plain[:4])) % 97 == 1  # noqa: PLR2004

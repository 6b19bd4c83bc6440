"""Things without a space in them: keys and tokens of services, JSON web tokens, values of keys, e-mail addresses.

The shapes are those that services publish for scanners of secrets. A match is the shortest text that is surely one; the
rest of it, however long, is swallowed. Some prefixes are also those of words and of names in programs (`sk-learn`,
`npm_package_devDependencies`): behind them a digit makes a token, or a run longer than any word. Not all have a digit:
those of Hugging Face never do, and of any others one in forty has none near its beginning.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from conversations.filters.base import CONTEXT, Detector, Match

LONGEST = 400  # characters that decide whether a match begins
LETTERS = "A-Za-z\u00c0-\u024f\u0370-\u04ff"
_ASCII_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+%@/:=~-"
_FOREIGN = "".join(map(chr, (*range(0xC0, 0x250), *range(0x370, 0x500))))

SECRET = re.compile(
    r"""
    sk-(?:proj|ant|or|svcacct|admin)-[\w-]{16}
    | (?: (?<![A-Za-z0-9])sk-
        | (?:gh[pousr]|gsk|lin_api|sbp|glsa|glc|rubygems|dckr_pat|github_pat|sntrys|ntn|whsec|tvly|shpat|shpca|shppa|
             shpss|xai|pplx|nvapi)[_-] )
      (?: (?=[A-Za-z_-]{0,19}[0-9]|[A-Za-z_-]{0,18}[a-z][A-Z])[\w-]{20} | [A-Za-z0-9]{32} )
    | (?:hf|npm)[_-](?: (?=[A-Za-z_-]{0,19}[0-9])[\w-]{20} | [A-Za-z0-9]{32} )
    | api_org_[A-Za-z]{32}
    | (?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16}
    | gl(?:pat|ptt|dt|rt|cbt|soat|agent|imt|ft)-[\w-]{20}
    | xox[abeoprs]-[\w-]{16} | xapp-\d-[\w-]{16}
    | (?:AKIA|ASIA|AGPA|AROA|ABIA|ACCA)[A-Z0-9]{16}
    | AIza[\w-]{35} | ya29\.[\w-]{20} | GOCSPX-[\w-]{20} | 1//0[\w-]{30}
    | SG\.[\w-]{16,32}\.[\w-]{16} | (?<![A-Za-z0-9])(?:SK(?=[a-f]{0,31}[0-9])|key-)[0-9a-f]{32}
    | [0-9a-f]{32}-us\d{1,2} | sq0[a-z]{3}-[\w-]{22} | do[opr]_v1_[a-f0-9]{32} | dapi(?=[a-f]{0,31}[0-9])[0-9a-f]{32}
    | hv[sbr]\.[\w-]{24} | (?<![A-Za-z0-9])r8_[A-Za-z0-9]{30} | (?<![A-Za-z0-9])EAA[A-Za-z0-9]{30}
    | PMAK-[0-9a-f]{24} | ATATT3[\w=-]{30} | NRAK-[A-Z0-9]{27} | pypi-AgE[\w-]{24} | AGE-SECRET-KEY-1[A-Z0-9]{20}
    | (?<![A-Za-z0-9])pat(?=[A-Za-z.]{0,46}[0-9])[A-Za-z0-9]{14}\.[a-f0-9]{32} | (?<![0-9])\d{8,10}:AA[\w-]{33}
    | dp\.(?:pt|st|ct|sa|scim)\.[\w-]{20}
    | hooks\.slack\.com/(?:services|workflows)/[\w/]{20} | discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{20}
    | eyJ[\w-]{10,340}\.[\w-]{10}
    | (?<=://)[\w.%+~-]{0,64}:[\w.%+~=-]{3,64}(?=@)
    """,
    re.ASCII | re.VERBOSE,
)
# Every match of every detector of this package's own holds one of these: without them, only the last word is open.
TELLING = re.compile(r"[0-9@=:_+/(\-]|AIza|eyJ|SG\.|A[KSGRBC][IPOC]A|EAA|ya29|hv[sbr]\.|dp\.", re.ASCII)
_VALUE = re.compile(r"(?<=[=:\"'`\s>])[A-Za-z0-9+/_.~-]{16,40}", re.ASCII)
_NAME = re.compile(
    r"(?:(?:key|token|secret|password|passwd|pwd|passphrase|credentials?|auth)[\w-]{0,20}[\"'`]?[ \t]{0,8}"
    r"(?::=|=>|->|=|:)[ \t]{0,8}[\"'`]?|bearer[ ]{1,3}|basic[ ]{1,3})\Z",
    re.IGNORECASE | re.ASCII,
)
_RUN = re.compile(r"(?:\.?[A-Za-z0-9_+/=~-])*", re.ASCII)
_EMAIL = re.compile(rf"[{LETTERS}0-9._%+~=-]{{1,64}}@(?:[{LETTERS}0-9-]{{1,40}}\.){{1,4}}[{LETTERS}]{{2,24}}", re.ASCII)
_BITS = 3.2  # of entropy a character: words and names have less, keys in base 16 have more
_DIGITS = 3


def last_word(text: str, start: int) -> int:
    """Return where the last word of a text begins, from `start` on; its length when it ends with another character."""
    characters = _ASCII_WORD if text.isascii() else _ASCII_WORD + _FOREIGN
    return max(start, len(text.rstrip(characters)), len(text) - LONGEST)


class RestOfWord:
    """Swallows what belongs to the same word; a full stop belongs to it when it goes on behind it."""

    def consume(self, text: str) -> tuple[int, bool]:
        """See `Swallow`."""
        match = _RUN.match(text)
        end = match.end() if match else 0
        return end, text[end:] not in ("", ".")

    def end(self, text: str) -> int:
        """See `Swallow`."""
        return self.consume(text)[0]


class Secrets(Detector):
    """Keys and tokens by their shapes, and values of high entropy behind names such as `api_key =`."""

    def find(self, text: str, start: int, limit: int) -> Match | None:
        """See `Detector`; of a `name = value` only the value is a match."""
        shaped = SECRET.search(text, start)
        found = Match(shaped.start(), shaped.end(), RestOfWord()) if shaped and shaped.start() < limit else None
        valued = self._value(text, start, min(limit, found.start) if found else limit)
        return valued or found

    def opening(self, text: str, start: int) -> int:
        """See `Detector`."""
        return last_word(text, start)

    def _value(self, text: str, start: int, limit: int) -> Match | None:
        for match in _VALUE.finditer(text, start):
            if match.start() >= limit:
                break
            if _is_random(match[0]) and _NAME.search(text[max(0, match.start() - CONTEXT) : match.start()]):
                return Match(match.start(), match.end(), RestOfWord())
        return None


def _is_random(value: str) -> bool:
    digits = sum(character.isdigit() for character in value)
    fewest = _DIGITS if value.islower() or value.isupper() else 1
    if not fewest <= digits < len(value):
        return False
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts) >= _BITS


class Addresses(Detector):
    """E-mail addresses."""

    def find(self, text: str, start: int, limit: int) -> Match | None:
        """See `Detector`."""
        if text.find("@", start) < 0:
            return None
        match = _EMAIL.search(text, start)
        return Match(match.start(), match.end()) if match and match.start() < limit else None

    def opening(self, text: str, start: int) -> int:
        """See `Detector`."""
        return last_word(text, start)

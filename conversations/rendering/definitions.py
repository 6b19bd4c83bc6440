"""What could be the beginning of a paragraph of link reference definitions, `[label]: address "title"`."""

from __future__ import annotations

import re

LONGEST_DEFINITION = 2_000
_TITLE = r"""(?:"(?:[^"\\]|\\.)*+(?:"[ \t]*+)?|'(?:[^'\\]|\\.)*+(?:'[ \t]*+)?|\((?:[^()\\]|\\.)*+(?:\)[ \t]*+)?)"""
# As far as it is known: the label, an address, which may stand in the next line, a title, and then any further lines.
_DEFINITION = re.compile(
    rf"""\[(?:[^\[\]\\]|\\.){{0,999}}+(?:\\|\](?::[ \t]*+(?:\n[ \t]*+)?
    (?:(?:<(?:[^<>\n\\]|\\.)*+>?|[^ \t\n<][^ \t\n]*+)\\?(?:[ \t]++(?:{_TITLE})?\\?)?(?:\n.*)?)?)?)?""",
    re.DOTALL | re.VERBOSE,
)


def maybe_definitions(paragraph: str) -> bool:
    """Whether a paragraph, as far as it is known, could begin with link reference definitions."""
    return len(paragraph) <= LONGEST_DEFINITION and bool(_DEFINITION.fullmatch(paragraph))

"""Complete Markdown to safe HTML: a pure function of the text. Everything goes through `sanitising.sanitise`."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from markdown_it import MarkdownIt

from conversations.rendering.grammar import make_parser
from conversations.rendering.pool import Pool
from conversations.rendering.sanitising import ASIDE, sanitise

RENDERER_VERSION = "4"

_CONTROL = re.compile(rf"[\0-\x08\x0b-\x1f\x7f{ASIDE}]")

parsers = Pool(make_parser)


def environment(id_prefix: str = "", image_hosts: Collection[str] = ()) -> dict[str, Any]:
    """Return what a parse knows beside the text, and what it learns: link references, footnotes.

    `id_prefix` begins every id in the HTML; images are shown from `image_hosts` only.
    """
    return {"id_prefix": id_prefix, "image_hosts": image_hosts, "references": {}}


def render(text: str, *, id_prefix: str = "", image_hosts: Collection[str] = ()) -> str:
    """Return the canonical HTML of a complete text."""
    env = environment(id_prefix, image_hosts)
    text = normalised(text)
    with parsers.one() as parser:
        return sanitise(parser.render(text if text.endswith("\n") else f"{text}\n", env))


def render_inline(text: str, env: dict[str, Any]) -> str:
    """Return the HTML of running text, not yet sanitised. Learns from and adds to `env`."""
    with parsers.one() as parser:
        return str(parser.renderInline(text, env))


def learn_definitions(text: str, env: dict[str, Any]) -> str:
    """Take the link reference definitions that begin a paragraph into `env`; return the rest of the paragraph."""
    with _definitions.one() as parser:
        tokens = parser.parse(text, env)
    return "\n".join(token.content for token in tokens if token.type == "inline")


def _make_definition_parser() -> MarkdownIt:
    """Return a parser to which every text is one paragraph: that it is one has been decided before."""
    md = make_parser()
    md.block.ruler.enableOnly(["reference", "paragraph"])
    md.core.ruler.enableOnly(["normalize", "block"])
    return md


_definitions = Pool(_make_definition_parser)


def normalised(text: str) -> str:
    """Return a text with one kind of line end, without control characters and halves of characters."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text.encode("utf-8", "replace").decode()

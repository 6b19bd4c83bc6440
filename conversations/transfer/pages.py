"""A conversation as one HTML file that needs nothing else: its style is within, and it asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from conversations.models import Conversation, Message
from conversations.reading.copies import copies, without_images
from conversations.reading.rendered import refresh
from conversations.transfer.texts import models_of, version_notes

LAYERS = ("tokens", "base", "parts", "chat", "prose", "code", "sharing")


def page_of(conversation: Conversation, messages: list[Message]) -> str:
    """Return messages of a conversation as a page. Blocks: answers without stored HTML are rendered."""
    refresh(messages)
    without_images(messages)
    notes = version_notes(messages)
    thread = copies(messages)
    for copy in thread:
        copy.note = notes.get(copy.id, "")
    context = {"conversation": conversation, "thread": thread, "models": models_of(messages), **_style()}
    return render_to_string("conversations/exported.html", context)


@cache
def _style() -> dict[str, SafeString]:
    """Return the style element, and the policy that allows it and nothing else."""
    path = finders.find("css/stillwater.css")
    css = layers_of(Path(path).read_text(encoding="utf-8"), LAYERS) if isinstance(path, str) else ""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    return {
        "style": mark_safe(f"<style>{css}</style>"),  # noqa: S308 - our own stylesheet
        "policy": mark_safe(policy),  # noqa: S308 - made of constants
    }


def layers_of(css: str, names: tuple[str, ...]) -> str:
    """Return these cascade layers of a stylesheet, in their order, without comments."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    blocks = [f"@layer {name} {{{body}}}" for name, body in _layers(css) if name in names]
    return re.sub(r"\s+", " ", f"@layer {', '.join(names)}; " + " ".join(blocks))


def _layers(css: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"@layer (\w+) \{", css):
        depth, end = 1, found.end()
        while depth and end < len(css):
            depth += {"{": 1, "}": -1}.get(css[end], 0)
            end += 1
        yield found[1], css[found.end() : end - 1]

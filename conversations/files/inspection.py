"""What an uploaded file is, by what is in it: neither its name nor what the browser says of it is believed.

Images are PNG, JPEG, GIF or WebP of a size that can be shown; everything else must be readable text in UTF-8, which an
SVG is as well: it is read by models, never drawn.
"""

from __future__ import annotations

import io
import struct
import unicodedata
import zlib
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext
from PIL import Image, UnidentifiedImageError

from conversations.providers.tokens import estimate, estimate_image

Image.MAX_IMAGE_PIXELS = None  # it would only warn; our own limit is lower

MOST_PIXELS = 40_000_000
LONGEST_SIDE = 16_384
LONGEST_NAME = 120
LONGEST_SUFFIX = 12
MOST_READ = 1_000  # characters of a name
TEXT_TYPE = "text/plain; charset=utf-8"
_BAD_IMAGE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError)
_LAYOUT = "\t\n\r\f"


class Unacceptable(ValueError):
    """A file that is not taken; `str()` is the sentence for the user, which names it."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A file that can be taken: `text` is empty for an image."""

    is_image: bool
    name: str
    content_type: str
    tokens: int
    size: int
    text: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        """What its row says of it."""
        kind = "image" if self.is_image else "text"
        names = ("name", "content_type", "tokens", "size", "text")
        return {"kind": kind} | {name: getattr(self, name) for name in names}


def inspect(name: str, data: bytes) -> Inspected:
    """Return what a file is. Raises `Unacceptable`."""
    name = clean_name(name)
    if len(data) > settings.ATTACHMENT_BYTES:
        raise too_large(name)
    if not data:
        raise Unacceptable(gettext("“%(name)s” is empty.") % {"name": name})
    found = image_format(data)
    return _image(name, data, found) if found else _text(name, data)


def too_large(name: str) -> Unacceptable:
    """Return the refusal of a file that has more bytes than allowed."""
    sentence = gettext("“%(name)s” is too large: at most %(limit)s MB for each file.")
    return Unacceptable(sentence % {"name": clean_name(name), "limit": megabytes(settings.ATTACHMENT_BYTES)})


def megabytes(count: int) -> str:
    """Return a number of bytes in megabytes, with as many places as it needs, at most two."""
    number = round(count / 1_000_000, 2)
    return str(number_format(int(number) if number == int(number) else number))


def image_format(data: bytes) -> str:
    """Return how Pillow calls the format that a file begins like; empty when it begins like no image."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    return "WEBP" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else ""


def _image(name: str, data: bytes, found: str) -> Inspected:
    try:
        with Image.open(io.BytesIO(data), formats=[found]) as image:  # reads no pixels yet
            width, height = image.size
            if fine := width * height <= MOST_PIXELS and max(width, height) <= LONGEST_SIDE:
                image.verify()
    except _BAD_IMAGE:
        raise Unacceptable(gettext("“%(name)s” is damaged: it cannot be read as an image.") % {"name": name}) from None
    if not fine:
        sentence = gettext("“%(name)s” has too many pixels: at most 40 million, and 16,384 on a side.")
        raise Unacceptable(sentence % {"name": name})
    return Inspected(True, name, f"image/{found.lower()}", estimate_image(width, height), len(data))


def _text(name: str, data: bytes) -> Inspected:
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        text = "\0"
    if any(unicodedata.category(character) == "Cc" and character not in _LAYOUT for character in set(text)):
        sentence = gettext("“%(name)s” is neither an image (PNG, JPEG, GIF, WebP) nor a text file in UTF-8.")
        raise Unacceptable(sentence % {"name": name})
    tokens, limit = estimate(text), settings.ATTACHMENT_TOKENS
    if tokens > limit:
        sentence = ngettext(
            "“%(name)s” is too long: it has about %(tokens)s tokens, and at most %(limit)s is allowed.",
            "“%(name)s” is too long: it has about %(tokens)s tokens, and at most %(limit)s are allowed.",
            limit,
        )
        numbers = {"tokens": grouped(tokens), "limit": grouped(limit)}
        raise Unacceptable(sentence % {"name": name, **numbers})
    return Inspected(False, name, TEXT_TYPE, tokens, len(data), text)


def grouped(number: int) -> str:
    """Return a whole number as people read it."""
    return str(number_format(number, force_grouping=True))


def clean_name(name: str) -> str:
    """Return a name that can be shown: no folders, nothing invisible or that turns the direction, not too long."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    name = name if len(name) <= MOST_READ else name[: MOST_READ // 2] + name[-MOST_READ // 2 :]
    visible = (" " if character.isspace() else character for character in name)
    kept = "".join(c for c in visible if c == " " or unicodedata.category(c)[0] not in "CZ")
    kept = " ".join(kept.split())
    if len(kept) > LONGEST_NAME:
        stem, dot, suffix = kept.rpartition(".")
        suffix = dot + suffix if dot and len(suffix) <= LONGEST_SUFFIX else ""
        kept = (stem if suffix else kept)[: LONGEST_NAME - len(suffix) - 1] + "…" + suffix
    return kept.strip(". ") or gettext("file")

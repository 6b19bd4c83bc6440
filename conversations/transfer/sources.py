"""Finds the conversations in a file that somebody has given us: JSON, or a zip with JSON in it.

Nothing is unpacked to disk and no name in an archive is ever used as a path. Sizes are counted as bytes come out,
whatever the archive says of itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.utils.translation import gettext

from conversations.transfer import chatgpt, ours
from conversations.transfer.documents import FORMAT, VERSION
from conversations.transfer.splitting import NotJson, Piece, Splitter, TooDeep, TooLong, has_more_values
from conversations.transfer.trees import NotImported, Tree, text

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1_048_576
MOST_VALUES = 2_000_000  # of one conversation: Python makes 200 MB of these at most, beside what its texts take
MOST_MEMBERS = 200_000  # an export has a file for each picture
MOST_FILES = 5_000  # with conversations
_CONVERSATIONS = re.compile(r"conversations([-_ ].*)?\.json", re.IGNORECASE)
_TITLE = re.compile(rb'"title"\s*:\s*("(?:[^"\\]|\\.){0,400}")')
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


class NothingThere(Exception):
    """The file as a whole cannot be imported; `str()` is the sentence that says why, and what was expected."""


def pieces(file: IO[bytes], reading: Callable[[], None]) -> Iterator[Piece]:
    """Yield the conversations in a file, as JSON, or why one cannot be read. Raises `NothingThere`.

    `reading` is called with each megabyte: it may be long until the next conversation, or the last.
    """
    file.seek(0)
    is_archive = file.read(2) == b"PK"
    file.seek(0)
    counted = _Counted(reading)
    if is_archive:
        yield from _from_archive(file, counted)
    else:
        yield from _split(counted.chunks(iter(lambda: file.read(CHUNK_BYTES), b"")))


class Enclosures:
    """The files beside the conversations in an archive, by the names that these have for them."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._read = 0

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file; None when there is none, it is too large, or there is too much in all."""
        most = min(settings.ATTACHMENT_BYTES, settings.IMPORT_UNPACKED_BYTES - self._read)
        if self._archive is None or most <= 0:
            return None
        try:
            with self._archive.open(name) as member:
                data = member.read(most + 1)
        except (KeyError, *_BROKEN):
            return None
        self._read += len(data)
        return data if len(data) <= most else None

    @cached_property
    def _archive(self) -> zipfile.ZipFile | None:
        try:
            return zipfile.ZipFile(self._file)
        except _BROKEN:  # JSON alone
            return None


def tree_of(piece: Piece) -> Tree:
    """Return the conversation in a piece. Raises `NotImported`."""
    if isinstance(piece, TooDeep):
        raise NotImported(gettext("It has too many levels for a conversation."))
    if isinstance(piece, TooLong):
        raise NotImported(
            gettext("It is larger than %(size)s MB.") % {"size": settings.IMPORT_CONVERSATION_BYTES // 10**6}
        )
    if isinstance(piece, bytes) and has_more_values(piece, MOST_VALUES):
        raise NotImported(gettext("It has more than %(limit)s values.") % {"limit": f"{MOST_VALUES:,}"})
    try:
        document = json.loads(piece.decode("utf-8-sig")) if isinstance(piece, bytes) else None
    except (ValueError, RecursionError):
        raise NotImported(gettext("It is not valid JSON.")) from None
    if not isinstance(document, dict):
        raise NotImported(gettext("It is not a conversation."))
    try:
        if "mapping" in document:
            return chatgpt.tree_of(document, _origin(document, "chatgpt:"))
        if "messages" in document:
            return ours.tree_of(document, _origin(document, ""))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        logger.exception("A conversation is built in a way that the import does not know")
        raise NotImported(gettext("It is built in a way that is not known here.")) from None
    raise NotImported(gettext("It is not a conversation of Stillwater or ChatGPT."))


def title_of(piece: Piece) -> str:
    """Return what a conversation that cannot be imported is called, as far as one can tell."""
    found = _TITLE.search(piece[:100_000]) if isinstance(piece, bytes) else None
    try:
        return text(json.loads(found[1]), 200) if found else ""
    except ValueError:
        return ""


def _origin(document: dict[str, Any], prefix: str) -> str:
    """Return a name that is the same whenever the same conversation is imported, at most 100 characters."""
    for name in ("conversation_id", "id"):
        if isinstance(value := document.get(name), str) and re.fullmatch(r"[\x21-\x7e]{8,80}", value):
            return prefix + value
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return f"{prefix}sha256:{digest}"


def _from_archive(file: IO[bytes], counted: _Counted) -> Iterator[Piece]:
    try:
        archive = zipfile.ZipFile(file)
    except _BROKEN:
        raise NothingThere(gettext("This zip file is damaged: download it again.")) from None
    with archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        if len(members) > MOST_MEMBERS:
            raise NothingThere(gettext("This zip file holds too many files for an export."))
        chosen = [info for info in members if _CONVERSATIONS.fullmatch(PurePosixPath(info.filename).name)]
        chosen = chosen or [info for info in members if info.filename.lower().endswith(".json")]
        if not chosen:
            raise NothingThere(
                gettext(
                    "There is no conversations.json in this zip file: expected is an export of Stillwater or ChatGPT."
                )
            )
        for info in sorted(chosen[:MOST_FILES], key=lambda info: info.filename):
            yield from _split(counted.chunks(_member(archive, info)))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as member:
            while chunk := member.read(CHUNK_BYTES):
                yield chunk
    except _BROKEN as error:
        if "password" in str(error):
            raise NothingThere(gettext("This zip file is locked with a password: unlock it first.")) from None
        raise NothingThere(gettext("This zip file is damaged: download it again.")) from None


class _Counted:
    """Counts what is read, over all files of an archive, and tells that it goes on."""

    def __init__(self, reading: Callable[[], None]) -> None:
        self._reading = reading
        self._read = 0

    def chunks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._read += len(chunk)
            if self._read > settings.IMPORT_UNPACKED_BYTES:
                sentence = gettext("There is more than %(size)s MB of text in this file: too much at once.")
                raise NothingThere(sentence % {"size": settings.IMPORT_UNPACKED_BYTES // 10**6})
            self._reading()
            yield chunk


def _split(chunks: Iterator[bytes]) -> Iterator[Piece]:
    splitter = Splitter(settings.IMPORT_CONVERSATION_BYTES)
    checked = False
    try:
        for piece in splitter.split(chunks):
            if not checked:
                _check_header(splitter.header)
                checked = True
            yield piece
    except NotJson:
        raise NothingThere(
            gettext("This is not a complete JSON file: expected is an export of Stillwater or ChatGPT, as JSON or zip.")
        ) from None
    except TooLong:
        size = settings.IMPORT_CONVERSATION_BYTES // 10**6
        raise NothingThere(gettext("A text in this file is longer than %(size)s MB.") % {"size": size}) from None


def _check_header(header: dict[str, Any]) -> None:
    version = header.get("version")
    if header.get("format") == FORMAT and isinstance(version, int) and version > VERSION:
        values = {"version": version, "known": VERSION}
        raise NothingThere(
            gettext("This file has version %(version)s of the format; version %(known)s is known here.") % values
        )

"""How log lines look, which ids they carry, and what never gets into them.

`LOG_FORMAT=plain` is for people at a terminal, `json` for machines: one object a line. Both carry the ids of the
request, the generation and the conversation that a line is about, as far as they are known, and both pass `scrub`:
whatever a library, a traceback or a database puts into a message, values of secrets leave as `[secret]`.
"""

from __future__ import annotations

import json
import logging
import os
import re
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache

from django.http import HttpRequest, HttpResponse

IDS: dict[str, ContextVar[str]] = {
    name: ContextVar(name, default="") for name in ("request_id", "generation_id", "conversation_id")
}
HIDDEN = "[secret]"
SHORTEST = 6  # characters: what is shorter would be found in words that are no secret
_SECRET_NAME = re.compile(r"_API_KEY$|^SECRET_KEY$|_TOKEN$|_PASSWORD$|_SECRET$")
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@")
# A header or a field with its value, in any of the ways in which they are printed.
_NAMED = re.compile(
    r"""(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|api[_-]key|password|csrfmiddlewaretoken|sessionid|csrftoken)
        (["']?\s*[:=,]\s*(?:b(?=["']))?["']?)
        ((?:bearer|basic)\s+)?[^\s"',;&}\]]+""",
    re.X,
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}")
_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{6,}")


@cache
def _secrets() -> tuple[str, ...]:
    """Return the values of secrets that the environment holds, the longest first."""
    from django.conf import settings  # noqa: PLC0415 - the settings name this module while they are being read

    values = {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    values |= {settings.SECRET_KEY, settings.METRICS_TOKEN}
    passwords = (str(database.get("PASSWORD") or "") for database in settings.DATABASES.values())
    return tuple(sorted({value for value in (*values, *passwords) if len(value) >= SHORTEST}, key=len, reverse=True))


def scrub(text: str) -> str:
    """Return a text without secrets: values of the environment, headers that authorize, passwords in addresses."""
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    text = _NAMED.sub(rf"\1\2{HIDDEN}", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _KEY.sub(HIDDEN, text)
    return _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text)


def _ids() -> dict[str, str]:
    return {name: value for name, variable in IDS.items() if (value := variable.get())}


class PlainFormatter(logging.Formatter):
    """A line for people, with the ids behind it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback below it."""
        ids = "".join(f" {name}={value}" for name, value in _ids().items())
        line, newline, rest = super().format(record).partition("\n")
        return scrub(f"{line}{ids}{newline}{rest}")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, ids, and `exception` where there was one.

    Of an exception it has the type and the places in the code; the words of foreign exceptions may hold content.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": scrub(record.getMessage()),
            **_ids(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = scrub(_without_words(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=str)


def _without_words(error: BaseException) -> str:
    places = "".join(f"{frame.filename}:{frame.lineno} {frame.name}\n" for frame in _frames(error))
    return f"{places}{type(error).__module__}.{type(error).__qualname__}"


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(error.__traceback__, limit=-20))


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Have all lines within carry these ids: `request_id`, `generation_id`, `conversation_id`."""
    tokens = [(IDS[name], IDS[name].set(str(value))) for name, value in ids.items() if value]
    try:
        yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)


def new_request_id() -> str:
    """Return an id for a request; never what a client sent."""
    return uuid.uuid4().hex[:16]


def ids_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Have the lines of a request carry the ids that its address names."""

    def middleware(request: HttpRequest) -> HttpResponse:
        found = re.match(r"^/(c|generations)/([0-9a-f-]{36})(?:/|$)", request.path_info)
        if found is None:
            return get_response(request)
        name = "conversation_id" if found[1] == "c" else "generation_id"
        with about(**{name: found[2]}):
            return get_response(request)

    return middleware

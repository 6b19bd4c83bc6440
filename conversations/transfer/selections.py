"""A selection of conversations as lines of text, one conversation in memory at a time: for those who review them.

JSON Lines: a document of our format (`docs/format.md`) in each line, with its `owner`. CSV: a row for each message;
a cell that a spreadsheet would take for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable, Iterable, Iterator

from conversations.asking.context import answer_text
from conversations.models import Conversation, Message
from conversations.transfer.documents import document_of, moment, tree_of

COLUMNS = ("conversation", "owner", "title", "message", "parent", "role", "created_at", "model", "status", "text")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def json_lines(conversations: Iterable[Conversation]) -> Iterator[str]:
    """Yield a line of JSON for each conversation."""
    for conversation in conversations:
        document = {**document_of(conversation), "owner": conversation.owner.get_username()}
        yield json.dumps(document, ensure_ascii=False) + "\n"


def csv_rows(conversations: Iterable[Conversation]) -> Iterator[str]:
    """Yield the head and then, for each conversation, the rows of its messages."""
    yield _lines([COLUMNS])
    for conversation in conversations:
        messages = tree_of(conversation)
        numbers = {message.pk: number for number, message in enumerate(messages, start=1)}
        yield _lines([_row(conversation, message, numbers) for message in messages])


FORMS: dict[str, tuple[Callable[[Iterable[Conversation]], Iterator[str]], str, str]] = {
    "jsonl": (json_lines, "application/x-ndjson", "jsonl"),
    "csv": (csv_rows, "text/csv; charset=utf-8", "csv"),
}


def _row(conversation: Conversation, message: Message, numbers: dict[uuid.UUID, int]) -> tuple[object, ...]:
    generations = list(message.generations.all())
    last = generations[-1] if generations else None
    model = (last.model.label if last.model else last.model_name) if last is not None else ""
    return (
        conversation.pk,
        conversation.owner.get_username(),
        conversation.title,
        numbers[message.pk],
        numbers.get(message.parent_id, "") if message.parent_id else "",
        message.role,
        moment(message.created_at),
        model,
        last.status if last is not None else "",
        answer_text(message) if message.role == Message.Role.ASSISTANT else message.text,
    )


def _lines(rows: Iterable[Iterable[object]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows([[safe_cell(cell) for cell in row] for row in rows])
    return written.getvalue()


def safe_cell(value: object) -> object:
    """Return a cell that no spreadsheet computes (CWE-1236)."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value

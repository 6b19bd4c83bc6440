"""Reads our own format back (`docs/format.md`). Nothing in a file is believed: it may have been written by anybody."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext

from conversations.models import Attachment, Conversation, Feedback, Generation, Message
from conversations.transfer.trees import (
    MOST_FILES,
    Enclosed,
    Node,
    NotImported,
    Skipped,
    Tree,
    check_size,
    choice,
    line,
    moment,
    number,
    parameters,
    parts,
    price,
    text,
)

_ENDED = set(Generation.Status.values) - set(Generation.ACTIVE)
_REASONS = ("", "stop", "length", "content_filter", "tool_calls")
_MOST_STEPS = 100_000
_READ = (Message.Role.USER, Message.Role.ASSISTANT)


def tree_of(document: dict[str, Any], origin: str) -> Tree:
    """Return a conversation of our format. Raises `NotImported`."""
    rows = document.get("messages")
    if not isinstance(rows, list):
        raise NotImported(gettext("Its messages are missing."))
    if not rows:
        raise Skipped(gettext("There are no messages in it."))
    check_size(len(rows))
    tree = Tree(
        origin=origin,
        title=line(document.get("title"), 200),
        title_source=choice(document.get("title_source"), Conversation.TitleSource.values, "user"),
        created_at=moment(document.get("created_at")),
        updated_at=moment(document.get("updated_at")),
        pinned=document.get("pinned") is True,
        archived=document.get("archived") is True,
        tags=_tags(document.get("tags")),
        model=_model(document.get("model")),
        system_prompt=text(document.get("system_prompt")),
        parameters=parameters(document.get("parameters")),
    )
    places = _add_nodes(tree, rows)
    if not tree.nodes:
        raise Skipped(gettext("There are no messages in it."))
    active = document.get("active_leaf")
    tree.active = places.get(active) if isinstance(active, int) else None
    return tree


def _add_nodes(tree: Tree, rows: list[Any]) -> dict[int, int | None]:
    """Add the messages that can be read here; return the place of each by its number in the file.

    A file is no place for hidden orders: what a system or a tool says is left out. What hangs below that hangs below
    the nearest message that is there.
    """
    places: dict[int, int | None] = {}
    for row in rows:
        if not isinstance(row, dict) or row.get("role") not in Message.Role.values:
            raise NotImported(gettext("A message in it is not as the format says."))
        parent, name = row.get("parent"), row.get("id")
        if parent is not None and (not isinstance(parent, int) or parent not in places):
            raise NotImported(gettext("A message in it comes before the one that it answers."))
        above = places[parent] if parent is not None else None
        attachments = row.get("attachments")
        tree.left_out += len(attachments) if isinstance(attachments, list) else 0
        if row["role"] in _READ:
            tree.nodes.append(_node(row, above))
            tree.left_out -= len(tree.nodes[-1].files)
            above = len(tree.nodes) - 1
        else:
            _leave_out(tree, row)
        if isinstance(name, int):
            places[name] = above
    return places


def _leave_out(tree: Tree, row: dict[str, Any]) -> None:
    """Count a message that nobody would see; one of the system that comes first can be seen as the system prompt."""
    orders = text(row.get("text")) if row["role"] == Message.Role.SYSTEM and not tree.nodes else ""
    if orders and not tree.system_prompt:
        tree.system_prompt, tree.first_orders = orders, True
    else:
        tree.unshown += 1


def _node(row: dict[str, Any], parent: int | None) -> Node:
    generations = row.get("generations")
    return Node(
        parent=parent,
        role=row["role"],
        text=text(row.get("text")),
        created_at=moment(row.get("created_at")),
        generations=[
            _generation(found)
            for found in (generations[:1000] if isinstance(generations, list) else ())
            if isinstance(found, dict)
        ],
        feedback=_feedback(row.get("feedback")),
        files=_files(row.get("attachments")),
    )


def _files(value: Any) -> list[Enclosed]:
    """Return the files that come along: texts, and images that the archive has. What they are is found out later."""
    found = []
    for row in value[:MOST_FILES] if isinstance(value, list) else ():
        if not isinstance(row, dict):
            continue
        name, member = line(row.get("name"), 255), text(row.get("file"), 300)
        said = text(row.get("text")) if row.get("kind") == Attachment.Kind.TEXT else ""
        if said or member:
            found.append(Enclosed(name, said, "" if said else member))
    return found


def _generation(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": choice(row.get("kind"), Generation.Kind.values, "new"),
        "status": choice(row.get("status"), _ENDED, "interrupted"),
        "finish_reason": choice(row.get("finish_reason"), _REASONS, ""),
        "instruction": choice(row.get("instruction"), Generation.Instruction.values, ""),
        "model": _model(row.get("model")),
        "model_name": line(row.get("model_name"), 200),
        "input_tokens": number(row.get("input_tokens")),
        "output_tokens": number(row.get("output_tokens")),
        "cost": price(row.get("cost")),
        "omitted_messages": number(row.get("omitted_messages")) or 0,
        "takeovers": number(row.get("takeovers")) or 0,
        "error_code": line(row.get("error_code"), 40),
        "error_message": line(row.get("error_message"), 500),
        "created_at": moment(row.get("created_at")),
        "started_at": moment(row.get("started_at")),
        "time_to_first_token_ms": number(row.get("time_to_first_token_ms")),
        "ended_at": moment(row.get("ended_at")),
        "output": parts(row.get("output")),
        "timeline": _timeline(row.get("timeline")),
    }


def _model(value: Any) -> tuple[str, str]:
    if not isinstance(value, dict):
        return "", ""
    return line(value.get("name"), 200), line(value.get("label"), 200)


def _tags(value: Any) -> list[str]:
    names = [line(name, 40) for name in value[:50]] if isinstance(value, list) else []
    return list(dict.fromkeys(name for name in names if name))


def _feedback(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict) or value.get("value") not in Feedback.Value.values:
        return None
    comment = text(value.get("comment"), 1000)
    return {"value": value["value"], "comment": comment, "created_at": moment(value.get("created_at"))}


def _timeline(value: Any) -> list[list[int]]:
    steps = value[:_MOST_STEPS] if isinstance(value, list) else []
    return [[*step] for step in steps if isinstance(step, list) and len(step) == 2 and None not in map(number, step)]  # noqa: PLR2004 - pairs

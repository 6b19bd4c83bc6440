"""Reads conversations from ChatGPT's export, of which no description exists: every field may be missing or odd.

A conversation there is a `mapping` of nodes, each with an optional message, a parent and children. One answer may be
several nodes (thoughts, calls of tools, what tools said, text); here it becomes one message with typed parts. Nodes
that ChatGPT does not show are passed over: what hangs below them hangs below the nearest one that is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from conversations.asking.titles import first_words
from conversations.transfer.trees import (
    MOST_PARTS,
    Node,
    NotImported,
    Skipped,
    Tree,
    check_size,
    line,
    moment,
    text,
)

USER, ASSISTANT = "user", "assistant"
_HIDDEN = {"user_editable_context", "model_editable_context", "app_pairing_content", "reasoning_recap"}
_NOISE = {"tether_browsing_display", "tether_quote", "sonic_webpage", "system_error"}  # what tools read on the way


@dataclass(slots=True)
class _Said:
    """What one node adds to a message."""

    role: str
    words: str
    kind: str = "text"
    files: int = 0


def tree_of(document: dict[str, Any], origin: str) -> Tree:
    """Return a conversation of ChatGPT's export. Raises `NotImported`."""
    mapping = document.get("mapping")
    if not isinstance(mapping, dict):
        raise NotImported(gettext("Its messages are missing."))
    check_size(len(mapping))
    tree = Tree(
        origin=origin,
        title=line(document.get("title"), 200),
        created_at=moment(document.get("create_time")),
        updated_at=moment(document.get("update_time")),
        archived=document.get("is_archived") is True,
        pinned=bool(document.get("is_starred")) or bool(document.get("pinned_time")),
        model=(line(document.get("default_model_slug"), 200), ""),
    )
    places = _Reader(mapping, tree).read()
    if not tree.nodes:
        raise Skipped(gettext("There are no messages in it."))
    current = document.get("current_node")
    tree.active = places.get(current) if isinstance(current, str) else None
    tree.title_source = "user" if tree.title else "first_words"
    tree.title = tree.title or first_words(next((node.text for node in tree.nodes if node.text), ""))
    return tree


class _Reader:
    """Walks the nodes of one conversation, parents first, and adds what they say to the tree."""

    def __init__(self, mapping: dict[str, Any], tree: Tree) -> None:
        self.nodes = {name: node for name, node in mapping.items() if isinstance(node, dict)}
        self.tree = tree
        self.places: dict[str, int] = {}  # where each node is shown; a hidden one where the one above it is

    def read(self) -> dict[str, int]:
        """Return the place of each node in the tree."""
        children = self._children()
        waiting = [name for name in self.nodes if self._parent(name) is None][::-1]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue  # a circle
            seen.add(name)
            only_child = len(children.get(self._parent(name) or "", [])) <= 1
            self._add(name, may_join=only_child)
            waiting += children.get(name, [])[::-1]
        return self.places

    def _parent(self, name: str) -> str | None:
        parent = self.nodes[name].get("parent")
        return parent if isinstance(parent, str) and parent in self.nodes and parent != name else None

    def _children(self) -> dict[str, list[str]]:
        """Return children by parent: in the order that the parent says, else in that of the file."""
        found: dict[str, list[str]] = {}
        for name in self.nodes:
            if (parent := self._parent(name)) is not None:
                found.setdefault(parent, []).append(name)
        for parent, names in found.items():
            listed = self.nodes[parent].get("children")
            names.sort(key=_order(listed if isinstance(listed, list) else []))
        return found

    def _add(self, name: str, *, may_join: bool) -> None:
        parent = self._parent(name)
        above = self.places.get(parent) if parent is not None else None
        message = self.nodes[name].get("message")
        said = list(_said(message)) if isinstance(message, dict) else []
        if said and isinstance(message, dict):
            above = self._place(message, said, above, may_join=may_join)
        if above is not None:
            self.places[name] = above

    def _place(self, message: dict[str, Any], said: list[_Said], above: int | None, *, may_join: bool) -> int:
        """Add what a node says to the message above, if both are parts of one answer, or as a message of its own."""
        role = said[0].role
        self.tree.left_out += sum(piece.files for piece in said)
        if role == ASSISTANT and above is not None and self.tree.nodes[above].role == ASSISTANT and may_join:
            _extend(self.tree.nodes[above], message, said)
            return above
        node = Node(parent=above, role=role, created_at=moment(message.get("create_time")))
        if role == USER:
            node.text = "\n\n".join(piece.words for piece in said)
        else:
            node.generations = [_generation(message)]
            _extend(node, message, said)
        self.tree.nodes.append(node)
        return len(self.tree.nodes) - 1


def _order(listed: list[Any]) -> Callable[[str], int]:
    places = {child: place for place, child in enumerate(listed) if isinstance(child, str)}
    return lambda name: places.get(name, len(places))


def _extend(node: Node, message: dict[str, Any], said: list[_Said]) -> None:
    generation = node.generations[0]
    output = generation["output"]
    for piece in said:
        if output and (output[-1]["kind"] == piece.kind or len(output) > MOST_PARTS):
            output[-1]["text"] += f"\n\n{piece.words}"
        else:
            output.append({"kind": piece.kind, "text": piece.words, "from_ms": 0, "to_ms": 0})
    fresh = _generation(message)
    for name in ("status", "finish_reason"):
        generation[name] = fresh[name]
    generation["model_name"] = fresh["model_name"] or generation["model_name"]


def _generation(message: dict[str, Any]) -> dict[str, Any]:
    metadata = _dict(message.get("metadata"))
    end = _dict(metadata.get("finish_details")).get("type")
    status, reason = "completed", "stop"
    if end == "max_tokens":
        reason = "length"
    elif end == "interrupted":
        status, reason = "stopped", ""
    elif message.get("status") == "in_progress":
        status, reason = "interrupted", ""
    created_at = moment(message.get("create_time"))
    return {
        "status": status,
        "finish_reason": reason,
        "model": (line(metadata.get("model_slug"), 200), ""),
        "model_name": line(metadata.get("model_slug"), 200),
        "created_at": created_at,
        "ended_at": created_at,
        "output": [],
    }


def _said(message: dict[str, Any]) -> Iterator[_Said]:
    """Yield what a message says to its readers; nothing when it is hidden, empty or for machines."""
    author, content, metadata = (_dict(message.get(name)) for name in ("author", "content", "metadata"))
    sort, role = line(content.get("content_type"), 50), line(author.get("role"), 50)
    if metadata.get("is_visually_hidden_from_conversation") or sort in _HIDDEN or role not in {USER, ASSISTANT, "tool"}:
        return
    if sort == "thoughts":
        words = "\n\n".join(_thoughts(content.get("thoughts")))
        if words:
            yield _Said(ASSISTANT, words, "reasoning")
        return
    words, files = _words(content)
    if role == USER:
        words = words or "\n\n".join([gettext("[File]")] * files)
        if words:
            yield _Said(USER, words, files=files)
    elif role == "tool":
        if files:
            yield _Said(ASSISTANT, "\n\n".join([gettext("[Image]")] * files), files=files)
        elif words and sort not in _NOISE:
            yield _Said(ASSISTANT, _fenced(words), "reasoning")
    elif sort == "code" or line(message.get("recipient"), 50) not in {"", "all"}:
        if words:
            yield _Said(ASSISTANT, _fenced(words, line(content.get("language"), 20)), "reasoning")
    elif words or files:
        yield _Said(ASSISTANT, words or gettext("[Image]"), files=files)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(content: dict[str, Any]) -> tuple[str, int]:
    """Return the text of a message's content, and how many files were with it."""
    found, files = [], 0
    parts = content.get("parts")
    for part in parts if isinstance(parts, list) else [content.get("text") or content.get("result")]:
        if isinstance(part, str):
            found.append(text(part))
        elif isinstance(part, dict):
            found.append(text(part.get("text")))  # what was said aloud
            files += "asset_pointer" in str(part.get("content_type"))
    return "\n\n".join(words for words in found if words.strip()), files


def _thoughts(value: Any) -> Iterator[str]:
    for thought in value if isinstance(value, list) else ():
        if isinstance(thought, dict):
            summary, content = line(thought.get("summary"), 300), text(thought.get("content"))
            yield from filter(None, (f"**{summary}**" if summary else "", content))


def _fenced(words: str, language: str = "") -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", words)), default=0))
    known = language if re.fullmatch(r"[a-z0-9+#-]+", language) and language != "unknown" else ""
    return f"{fence}{known}\n{words}\n{fence}"

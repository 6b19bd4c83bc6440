"""A conversation as templates need it: what pages, fragments, the stream's last message and the admin all show."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from chatapp.accounts.models import User
from conversations.context import branch
from conversations.live.message import MessageRenderer, thought_label
from conversations.live.sse import Position
from conversations.live.state import RenderedState, dom_id, read_state
from conversations.models import Conversation, Generation, Message, Parts
from conversations.rendering.markdown import render

FINISH_NOTICES = {
    "length": "The model reached its limit of length. Continue goes on from here.",
    "content_filter": "The provider's content filter ended this answer. Ask in other words.",
    "tool_calls": "The model asked for a tool, and none is set up here.",
}
NEARBY_DAYS = ((0, "Today"), (1, "Yesterday"), (7, "Last 7 days"), (30, "Last 30 days"))
SIDEBAR_CONVERSATIONS = 200


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What a model thought aloud."""

    html: SafeString
    tail_html: SafeString
    label: str


@dataclass(slots=True)
class MessageView:
    """One message as `_message.html` shows it."""

    id: uuid.UUID
    dom_id: str
    role: str
    created_at: datetime
    text: str = ""
    html: str = ""
    tail_html: str = ""
    reasoning: Reasoning | None = None
    status: str = ""
    running: bool = False
    stream_url: str = ""
    notice: str = ""
    notice_kind: str = "info"
    can_continue: bool = False
    can_regenerate: bool = False
    can_edit: bool = False
    retry: bool = False
    model_label: str = ""
    version: int = 1
    versions: int = 1
    previous_id: uuid.UUID | None = None
    next_id: uuid.UUID | None = None
    request_key: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def prefix(self) -> str:
        """What the ids of its inner elements begin with."""
        return f"{self.dom_id}-"


def thread(conversation: Conversation) -> list[MessageView]:
    """Return the branch of a conversation that is shown."""
    messages = branch(conversation.active_leaf)
    siblings = _siblings(conversation)
    return [_view(message, siblings[message.parent_id]) for message in messages]


def single(message: Message) -> MessageView:
    """Return one message of a conversation."""
    rows = Message.objects.filter(conversation=message.conversation_id, parent=message.parent_id)
    return _view(message, list(rows.order_by("pk").values_list("pk", flat=True)))


def sent(question: Message, generation: Generation) -> list[MessageView]:
    """Return a question that was just sent and its answer that has not begun: nothing of it has to be read."""
    asked = MessageView(question.pk, dom_id(question.pk), question.role, question.created_at, text=question.text)
    asked.can_edit = True
    answer = generation.message
    answering = MessageView(answer.pk, dom_id(answer.pk), answer.role, answer.created_at, status=generation.status)
    answering.model_label = generation.model.label if generation.model else ""
    answering.running = True
    answering.stream_url = _stream_url(generation, Position(0, 0))
    return [asked, answering]


def _siblings(conversation: Conversation) -> defaultdict[uuid.UUID | None, list[uuid.UUID]]:
    found: defaultdict[uuid.UUID | None, list[uuid.UUID]] = defaultdict(list)
    for pk, parent in conversation.messages.order_by("pk").values_list("pk", "parent"):
        found[parent].append(pk)
    return found


def _view(message: Message, versions: list[uuid.UUID]) -> MessageView:
    view = MessageView(message.pk, dom_id(message.pk), message.role, message.created_at, text=message.text)
    place = versions.index(message.pk)
    view.version, view.versions = place + 1, len(versions)
    view.previous_id = versions[place - 1] if place > 0 else None
    view.next_id = versions[place + 1] if place + 1 < len(versions) else None
    if message.role == Message.Role.ASSISTANT:
        generations = list(message.generations.all())
        _add_answer(view, generations)
        if generations:
            _add_end(view, generations[-1])
    else:
        view.can_edit = message.role == Message.Role.USER
    return view


def _add_answer(view: MessageView, generations: list[Generation]) -> None:
    last = generations[-1] if generations else None
    state = read_state(last.pk) if last is not None and last.is_active else None
    if last is not None and state is not None:
        _add_running(view, state, last)
        return
    parts = [part for generation in generations for part in generation.output]
    text = "".join(part["text"] for part in parts if part["kind"] == "text")
    view.html = mark_safe(render(text, id_prefix=view.prefix))  # noqa: S308 - the renderer's output is sanitised
    view.reasoning = _stored_reasoning([part for part in parts if part["kind"] == "reasoning"], view.prefix)


def _stored_reasoning(parts: Parts, prefix: str) -> Reasoning | None:
    if not parts:
        return None
    html = "".join(render(part["text"], id_prefix=f"{prefix}r{number}-") for number, part in enumerate(parts, start=1))
    label = thought_label(sum(part["to_ms"] - part["from_ms"] for part in parts))
    return Reasoning(mark_safe(html), SafeString(""), label)  # noqa: S308 - as above


def _add_running(view: MessageView, state: RenderedState, generation: Generation) -> None:
    tails = state.renderer.tails()
    view.running = True
    view.html = mark_safe(state.renderer.body_html())  # noqa: S308 - the renderer's output is sanitised
    view.tail_html = mark_safe(tails[f"{view.prefix}tail"])  # noqa: S308 - as above
    view.reasoning = _reasoning(state.renderer)
    view.stream_url = _stream_url(generation, state.position)


def _stream_url(generation: Generation, start: Position) -> str:
    return f"{reverse('conversations:stream', args=[generation.pk])}?from={start}"


def _reasoning(renderer: MessageRenderer) -> Reasoning | None:
    if not renderer.has_reasoning:
        return None
    tail = renderer.tails().get(f"{renderer.prefix}rtail", "")
    html = renderer.reasoning_html()
    return Reasoning(mark_safe(html), mark_safe(tail), renderer.reasoning_label)  # noqa: S308 - as above


def _add_end(view: MessageView, generation: Generation) -> None:
    view.status = generation.status
    view.model_label = generation.model.label if generation.model else generation.model_name
    if view.running:
        return
    view.can_continue = generation.is_partial
    view.can_regenerate = True
    view.retry = generation.status in {Generation.Status.FAILED, Generation.Status.INTERRUPTED}
    view.notice = _notice(generation)
    view.notice_kind = "error" if view.retry else "info"


def _notice(generation: Generation) -> str:
    if generation.status == Generation.Status.STOPPED:
        return "Stopped."
    if generation.status == Generation.Status.COMPLETED:
        return FINISH_NOTICES.get(generation.finish_reason, "")
    return generation.error_message


def footer_html(message_id: uuid.UUID, csp_nonce: str) -> str:
    """Return the finished footer of a message, for the last message of its stream. Blocks on the database."""
    message = Message.objects.prefetch_related("generations__model").get(pk=message_id)
    return render_to_string("conversations/_footer.html", {"message": single(message), "csp_nonce": csp_nonce})


def sidebar(user: User, current: Conversation | None) -> list[dict[str, Any]]:
    """Return a user's conversations, newest first, grouped by day."""
    groups: dict[str, list[dict[str, Any]]] = {}
    rows = Conversation.objects.filter(owner=user, archived=False).with_running()
    for row in rows.only("id", "title", "updated_at")[:SIDEBAR_CONVERSATIONS]:
        item = {
            "id": row.pk,
            "title": str(row),
            "running": row.running,  # type: ignore[attr-defined] # annotated by with_running
            "current": row == current,
        }
        groups.setdefault(day_label(timezone.localtime(row.updated_at).date()), []).append(item)
    return [{"label": label, "items": items} for label, items in groups.items()]


def day_label(day: date) -> str:
    """Return how a list of conversations calls a day."""
    age = timezone.localdate() - day
    for days, label in NEARBY_DAYS:
        if age <= timedelta(days=days):
            return label
    return f"{day:%B %Y}"

"""A conversation as templates need it: what pages, fragments, the stream's last message and the admin all show."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from zlib import crc32

from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext, gettext_noop, override

from conversations.asking.context import branch, with_attachments
from conversations.live.message import MessageRenderer, thought_label
from conversations.live.sse import Position
from conversations.live.state import RenderedState, dom_id, read_state
from conversations.models import Attachment, Conversation, Feedback, Generation, Message
from conversations.models.paths import upward
from conversations.reading.outlines import Heading, outline
from conversations.reading.rendered import refresh
from conversations.reading.usage import Facts, facts_of

FINISH_NOTICES = {
    "length": gettext_noop("The model reached its limit of length. Continue goes on from here."),
    "content_filter": gettext_noop("The provider's content filter ended this answer. Ask in other words."),
    "tool_calls": gettext_noop("The model asked for a tool, and none is set up here."),
}
INSTRUCTION_LABELS = {
    "shorter": gettext_noop("Shorter"),
    "longer": gettext_noop("Longer"),
    "more_formal": gettext_noop("More formal"),
}
OWN_FOOTER = "conversations/_footer.html"  # for its owner; others have one without actions
BEGINNING_WORDS, BEGINNING_CHARACTERS = 40, 160
CLIPPED_LINES, CLIPPED_CHARACTERS = 24, 2_400


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What a model thought aloud."""

    html: SafeString
    label: str


@dataclass(frozen=True, slots=True)
class FileView:
    """A file of a message as its bubble shows it."""

    url: str
    name: str
    is_image: bool


@dataclass(frozen=True, slots=True)
class Undo:
    """The continuation that can be undone: how much it wrote, and how that begins."""

    generation_id: uuid.UUID
    words: int
    beginning: str


@dataclass(slots=True)
class MessageView:
    """One message as `_message.html` shows it."""

    id: uuid.UUID
    dom_id: str
    role: str
    created_at: datetime
    text: str = ""
    html: str = ""
    reasoning: Reasoning | None = None
    status: str = ""
    running: bool = False
    stream_url: str = ""
    progress_url: str = ""
    position: str = ""
    notice: str = ""
    notice_kind: str = "info"
    can_continue: bool = False
    can_regenerate: bool = False
    can_edit: bool = False
    retry: bool = False
    files: list[FileView] = field(default_factory=list)
    facts: Facts | None = None
    window_begins: bool = False  # what is above it is not sent any more
    model_label: str = ""
    instruction: str = ""
    has_text: bool = False
    undo: Undo | None = None
    opinion: int = 0
    comment: str = ""
    version: int = 1
    versions: int = 1
    previous_id: uuid.UUID | None = None
    next_id: uuid.UUID | None = None
    outline: list[Heading] = field(default_factory=list)
    tag: str = ""
    generation_ids: list[uuid.UUID] = field(default_factory=list)
    request_key: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def is_long(self) -> bool:
        """Whether a question is shown in part first: something that was pasted, mostly."""
        return len(self.text) > CLIPPED_CHARACTERS or self.text.count("\n") > CLIPPED_LINES

    @property
    def prefix(self) -> str:
        """What the ids of its inner elements begin with."""
        return f"{self.dom_id}-"


def thread(conversation: Conversation) -> list[MessageView]:
    """Return the whole branch of a conversation that is shown, however long it is."""
    return thread_to(conversation.active_leaf)


def thread_to(leaf: Message | None) -> list[MessageView]:
    """Return the whole branch that ends with `leaf`."""
    return views_of(branch(leaf), leaf.pk if leaf is not None else None)


def views_of(messages: list[Message], leaf: uuid.UUID | None) -> list[MessageView]:
    """Return consecutive messages of a branch, which come with their generations; `leaf` is the branch's end."""
    refresh(messages)
    with_attachments(messages)
    versions = versions_of(messages)
    views = [_view(message, versions[message.parent_id]) for message in messages]
    begin = window_begin(leaf)
    for view in views:
        view.window_begins = view.id == begin
        if view.id != leaf:
            view.can_continue, view.undo = False, None  # what was said after it would be on no branch any more
    _add_opinions(views, Feedback.objects.filter(message__in=[view.id for view in views]))
    return views


def single(message: Message) -> MessageView:
    """Return one message of a conversation, which comes with its generations."""
    leaf = None if message.children.exists() else message.pk
    return views_of([message], leaf)[0]


def tag_of(message: Message, versions: list[uuid.UUID]) -> str:
    """Name what a page shows of a message apart from its words, which only grow: it changes when that does.

    The message comes with its generations, of which nothing but id and status is looked at. The tag of an answer that
    is being written begins with "r".
    """
    generations = list(message.generations.all()) if message.role == Message.Role.ASSISTANT else []
    if generations and generations[-1].is_active:
        return running_tag(generations[-1])
    attempts = (f"{row.pk.hex}{row.status}" for row in generations)
    return _digest(" ".join((*attempts, message.pk.hex, *map(str, versions))))


def running_tag(generation: Generation) -> str:
    """Name an answer that this generation writes, for as long as it does."""
    return f"r{_digest(generation.pk.hex)}"


def _digest(text: str) -> str:
    return f"{crc32(text.encode()):x}"


def _add_opinions(views: list[MessageView], feedback: QuerySet[Feedback]) -> None:
    """Add what the owner thinks; nobody else can think anything."""
    opinions = {row.message_id: row for row in feedback}
    for view in views:
        if (row := opinions.get(view.id)) is not None:
            view.opinion, view.comment = row.value, row.comment


def sent(question: Message, generation: Generation) -> list[MessageView]:
    """Return a question that was just sent and its answer that has not begun: nothing of it has to be read."""
    asked = MessageView(question.pk, dom_id(question.pk), question.role, question.created_at, text=question.text)
    asked.can_edit = True
    asked.tag = tag_of(question, [question.pk])
    asked.files = _files(question)
    answer = generation.message
    answering = MessageView(answer.pk, dom_id(answer.pk), answer.role, answer.created_at, status=generation.status)
    answering.model_label = generation.model.label if generation.model else ""
    answering.tag = running_tag(generation)
    add_stream(answering, generation, Position(0))
    return [asked, answering]


def window_begin(leaf: uuid.UUID | None) -> uuid.UUID | None:
    """Return the first message of a branch that its newest answer was written with; None when that was all of it."""
    written = Generation.objects.filter(message=leaf).order_by("pk")
    omitted = written.values_list("omitted_messages", flat=True).last()
    if leaf is None or not omitted:
        return None
    path = upward(leaf)[::-1]
    return path[omitted] if omitted < len(path) else None


def _files(message: Message) -> list[FileView]:
    return [
        FileView(reverse("conversations:attachment", args=[row.pk]), row.name, row.kind == Attachment.Kind.IMAGE)
        for row in message.attachments.all()
    ]


def versions_of(messages: list[Message]) -> defaultdict[uuid.UUID | None, list[uuid.UUID]]:
    """Return the versions of each of these messages of one conversation, oldest first, by their parents."""
    found: defaultdict[uuid.UUID | None, list[uuid.UUID]] = defaultdict(list)
    parents = Q(parent__in=[message.parent_id for message in messages if message.parent_id is not None])
    if any(message.parent_id is None for message in messages):
        parents |= Q(parent=None)
    rows = Message.objects.filter(parents, conversation__in={message.conversation_id for message in messages})
    for pk, parent in rows.order_by("pk").values_list("pk", "parent"):
        found[parent].append(pk)
    return found


def _view(message: Message, versions: list[uuid.UUID]) -> MessageView:
    view = MessageView(message.pk, dom_id(message.pk), message.role, message.created_at, text=message.text)
    place = versions.index(message.pk) if message.pk in versions else 0  # deleted since it was read
    versions = versions or [message.pk]
    view.version, view.versions = place + 1, len(versions)
    view.previous_id = versions[place - 1] if place > 0 else None
    view.next_id = versions[place + 1] if place + 1 < len(versions) else None
    view.tag = tag_of(message, versions)
    if message.role == Message.Role.ASSISTANT:
        generations = list(message.generations.all())
        view.generation_ids = [generation.pk for generation in generations]
        _add_answer(view, message, generations)
        if generations:
            _add_end(view, generations[-1])
            view.facts = None if view.running else facts_of(generations)
            view.can_continue = message.is_partial
            view.instruction = instruction_label(generations[0].instruction)
            view.undo = _undo(generations[-1])
    else:
        view.can_edit = message.role == Message.Role.USER
        view.files = _files(message)
    return view


def _add_answer(view: MessageView, message: Message, generations: list[Generation]) -> None:
    last = generations[-1] if generations else None
    state = read_state(last.pk) if last is not None and last.is_active else None
    if last is not None and state is not None:
        _add_running(view, state, last)
        return
    view.has_text = bool(message.html)
    view.html = mark_safe(message.html)  # noqa: S308 - the renderer's output is sanitised
    view.outline = outline(message.html)
    thoughts = [part for generation in generations for part in generation.output if part["kind"] == "reasoning"]
    if thoughts:
        label = thought_label(sum(part["to_ms"] - part["from_ms"] for part in thoughts))
        view.reasoning = Reasoning(mark_safe(message.reasoning_html), label)  # noqa: S308 - as above


def _add_running(view: MessageView, state: RenderedState, generation: Generation) -> None:
    view.html = mark_safe(state.renderer.body_html())  # noqa: S308 - the renderer's output is sanitised
    view.reasoning = _reasoning(state.renderer)
    add_stream(view, generation, state.position)


def add_stream(view: MessageView, generation: Generation, start: Position) -> None:
    """Say how a page that is at `start` gets the rest of what a generation writes."""
    view.running = True
    view.position = str(start)
    view.stream_url = f"{reverse('conversations:stream', args=[generation.pk])}?from={start}"
    view.progress_url = reverse("conversations:progress", args=[generation.pk])


def _reasoning(renderer: MessageRenderer) -> Reasoning | None:
    if not renderer.has_reasoning:
        return None
    return Reasoning(mark_safe(renderer.reasoning_html()), renderer.reasoning_label)  # noqa: S308 - as above


def _add_end(view: MessageView, generation: Generation) -> None:
    view.status = generation.status
    view.model_label = generation.model.label if generation.model else generation.model_name
    if view.running:
        return
    view.can_regenerate = True
    view.retry = generation.status in {Generation.Status.FAILED, Generation.Status.INTERRUPTED}
    view.notice = " ".join(filter(None, (_notice(generation), _fallback_notice(generation))))
    view.notice_kind = "error" if view.retry else "info"


def _undo(generation: Generation) -> Undo | None:
    if generation.kind != Generation.Kind.CONTINUE or generation.is_active:
        return None
    words = " ".join(part["text"] for part in generation.output if part["kind"] == "text").split()
    return Undo(generation.pk, len(words), Truncator(" ".join(words[:BEGINNING_WORDS])).chars(BEGINNING_CHARACTERS))


def instruction_label(instruction: str) -> str:
    """Return how a page calls the way in which an answer was to be written again; empty for none."""
    return gettext(INSTRUCTION_LABELS[instruction]) if instruction else ""


def _notice(generation: Generation) -> str:
    """Return the sentence about an end, which is English in the database and in the code."""
    if generation.status == Generation.Status.STOPPED:
        return gettext("Stopped.")
    completed = generation.status == Generation.Status.COMPLETED
    own = generation.error_message  # with an end that is no failure: the sentence of the rule that ended it
    sentence = own or (FINISH_NOTICES.get(generation.finish_reason, "") if completed else "")
    return gettext(sentence) if sentence else ""  # the translation of nothing is the catalogue's header


def _fallback_notice(generation: Generation) -> str:
    """Say which model answered instead of the one that was asked."""
    if generation.instead_of is None or generation.model is None or not generation.output:
        return ""
    names = {"asked": generation.instead_of.label, "answered": generation.model.label}
    return gettext("%(asked)s did not answer; %(answered)s answered instead.") % names


def footer_html(message_id: uuid.UUID, csp_nonce: str, language: str, template: str = OWN_FOOTER) -> str:
    """Return the finished footer of a message, for the last message of its stream. Blocks on the database."""
    message = Message.objects.prefetch_related("generations__model").get(pk=message_id)
    with override(language):  # the thread that runs this serves everybody
        return render_to_string(template, {"message": single(message), "csp_nonce": csp_nonce})

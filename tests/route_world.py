"""Two users with the same kinds of things, somebody of the staff, and the address of every route for a thing.

All that belongs to the owner holds `PLANTED`, so that a leak shows.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

from django.core.files.base import ContentFile
from django.urls import URLPattern, URLResolver, get_resolver

from conversations.models import Attachment, Feedback, Job, Preset, QueuedMessage, Share, Tag
from tests.factories import make_conversation, make_turn, make_user

PLANTED = "Zwergspinne"
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS")
VISITORS = ("anonymous", "foreign", "owner", "staff")
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")


def routes() -> list[str]:
    """The pattern of every route of the project."""
    return list(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, path)
        else:
            yield path


def address(pattern: str, values: dict[str, object]) -> str:
    """The path of a route with these values for its parameters."""
    filled = PARAMETER.sub(lambda found: str(values[found[1] or found[2]]), pattern)
    return "/" + filled.replace("^", "").replace("$", "").replace("\\", "")


def belongings(owner) -> dict[str, object]:
    """One of everything that a route can name, all of it `owner`'s; by the names that routes have for them."""
    conversation = make_conversation(owner, title=f"{PLANTED} title", system_prompt=f"{PLANTED} system")
    generation = make_turn(conversation, f"{PLANTED} question", f"{PLANTED} answer")
    message = generation.message
    Tag.objects.create(owner=owner, name=f"{PLANTED} tag").conversations.add(conversation)
    Feedback.objects.create(message=message, owner=owner, value=1, comment=f"{PLANTED} opinion")
    preset = Preset.objects.create(owner=owner, name=f"{PLANTED} preset", system_prompt=PLANTED)
    share = Share.objects.create(conversation=conversation, leaf=message, title=f"{PLANTED} title")
    text = {"kind": "text", "name": f"{PLANTED}.txt", "content_type": "text/plain", "size": 3, "text": PLANTED}
    attachment = Attachment.objects.create(owner=owner, message=message.parent, **text)
    queued = QueuedMessage.objects.create(conversation=conversation, text=f"{PLANTED} queued")
    job = Job.objects.create(owner=owner, kind="export", status="completed", parameters={"format": "json"})
    job.file.save("x.zip", ContentFile(PLANTED.encode()))
    return {
        "conversation_id": conversation.pk,
        "message_id": message.pk,
        "generation_id": generation.pk,
        "preset_id": preset.pk,
        "share_id": share.pk,
        "token": share.token,
        "attachment_id": attachment.pk,
        "queued_id": queued.pk,
        "job_id": job.pk,
        "question_id": message.parent_id,
    }


def nothing() -> dict[str, object]:
    """The same names, for things that do not exist."""
    names = ("conversation", "message", "generation", "preset", "share", "attachment", "queued", "job", "question")
    return {**{f"{name}_id": uuid.uuid4() for name in names}, "token": "A" * 22}


def people() -> dict[str, object]:
    return {
        "foreign": make_user("eve"),
        "owner": make_user("ada"),
        "staff": make_user("boss", is_staff=True, is_superuser=True),
    }


# Values of parameters that name nothing of anybody.
NEUTRAL = {
    "uid": "MQ",
    "uidb36": "1",
    "key": "set-password",
    "provider_id": "sso",
    "content_type_id": 1,
    "app_label": "conversations",
    "url": "x/",
    "object_id": 0,
    "id": 0,
}

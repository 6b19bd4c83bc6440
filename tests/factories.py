"""Rows for tests, each valid by itself."""

from __future__ import annotations

import functools
import io
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import get_hasher, make_password
from PIL import Image

from conversations.models import ChatModel, Conversation, Generation, Message

PASSWORD = "a long password"


@functools.cache
def _hashed(algorithm: str) -> str:
    """Hashed once: to hash a password as one should takes longer than most tests."""
    return make_password(PASSWORD, hasher=algorithm)


def make_user(name: str, **fields: Any):
    return get_user_model().objects.create(username=name, password=_hashed(get_hasher().algorithm), **fields)


def make_model(base_url: str = "demo:", model_name: str = "demo", **fields: Any) -> ChatModel:
    row, _ = ChatModel.objects.get_or_create(
        base_url=base_url, model_name=model_name, defaults={"label": model_name.title(), **fields}
    )
    return row


def make_conversation(owner, **fields: Any) -> Conversation:
    return Conversation.objects.create(owner=owner, **{"title": "A conversation", "model": make_model(), **fields})


def make_turn(
    conversation: Conversation, question: str = "Why?", answer: str = "Because.", **fields: Any
) -> Generation:
    """A question and its answer at the end of the branch that is shown; completed unless `status` says otherwise."""
    user_message = Message.objects.create(
        conversation=conversation, parent=conversation.active_leaf, role="user", text=question
    )
    message = Message.objects.create(conversation=conversation, parent=user_message, role="assistant")
    output = [{"kind": "text", "text": answer, "from_ms": 0, "to_ms": 100}] if answer else []
    values = {"status": "completed", "finish_reason": "stop", "output": output, "model": conversation.model, **fields}
    values.setdefault("epoch", 0 if values["status"] == "queued" else 1)
    generation = Generation.objects.create(message=message, **values)
    conversation.active_leaf = message
    conversation.save()
    return generation


def make_running(conversation: Conversation, **fields: Any) -> Generation:
    """A generation that was claimed with epoch 1 and has no text yet."""
    from datetime import timedelta

    from django.utils import timezone

    lease = timezone.now() + timedelta(seconds=60)
    values = {"status": "in_progress", "finish_reason": "", "epoch": 1, "lease_expires_at": lease, **fields}
    return make_turn(conversation, answer="", **values)


def picture(form: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    """Return the bytes of an image."""
    data = io.BytesIO()
    Image.new("RGB", size, (30, 120, 140)).save(data, form)
    return data.getvalue()

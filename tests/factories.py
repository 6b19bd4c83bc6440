"""Rows for tests, each valid by itself."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model

from conversations.models import ChatModel, Conversation, Generation, Message


def make_user(name: str, **fields: Any):
    return get_user_model().objects.create_user(username=name, password="a long password", **fields)


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

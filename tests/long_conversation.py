"""Conversations of thousands of messages: in this process's database, or in that of a server on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conversations.models import Conversation
    from tests.server import Server

ANSWER = """## The answer {number}

Rivers carry what the rain has loosened, and lay it down where they slow. **Number {number}** says so once more.

- first the gravel, then the sand,
- then the silt, which stays afloat for days.

### And so

{filler}

### In the end

It is the sea that keeps it, in layers that later readers can count.
"""


def make_long(owner, messages: int, filler: str = "The valley widens. " * 30) -> Conversation:
    """A conversation of so many messages (an even number), about 1 kB each, complete but for their HTML."""
    from conversations.models import Generation, Message
    from tests.factories import make_conversation

    conversation = make_conversation(owner, title=f"Of {messages} messages")
    rows, generations, parent = [], [], None
    for number in range(messages // 2):
        question = Message(conversation=conversation, parent=parent, role="user", text=f"Question {number}?")
        parent = Message(conversation=conversation, parent=question, role="assistant")
        rows += [question, parent]
        text = ANSWER.format(number=number, filler=filler)
        part = {"kind": "text", "text": text, "from_ms": 0, "to_ms": 100}
        generations.append(
            Generation(
                message=parent, status="completed", finish_reason="stop", output=[part], model=conversation.model
            )
        )
    Message.objects.bulk_create(rows, batch_size=200)
    Generation.objects.bulk_create(generations, batch_size=200)
    conversation.active_leaf = parent
    conversation.save()
    return conversation


def make_on(server: Server, messages: int) -> str:
    """Make one on a server, for its owner; return its path."""
    code = (
        "from django.contrib.auth import get_user_model as u; from tests.long_conversation import make_long;"
        f"print('PATH', make_long(u().objects.order_by('pk').first(), {messages}).pk)"
    )
    return f"/c/{server.manage('shell', '-c', code).split('PATH ')[1].strip()}/"

"""What the lists of the admin cost: `python -m bench.admin_lists`, on SQLite in a directory that is removed at the end,
or with `DATABASE_URL=postgresql://…` on an empty database there, which stays.

A million messages in 50,000 conversations of 200 users, half of the messages answers with a generation; one in a
hundred failed, one in fifty has an opinion, one in five hundred a flag; a tenth of the messages is in the search index;
each answer has an entry in the audit trail, of one of forty actions.
For each page: how many queries it makes, what their plans read to its end (SQLite: SCAN of a table or an index; a scan
in the order of the list ends with the page. PostgreSQL: Seq Scan of a table that gives a thousand rows or more), and
the time of the whole request in this process and its CPU (best of 5 each); of PostgreSQL, what EXPLAIN ANALYZE says.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

DATA = tempfile.TemporaryDirectory(prefix="stillwater-bench-")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")
os.environ.update({"DATA_DIR": DATA.name, "ENV_FILE": f"{DATA.name}/none.env", "OLLAMA_URL": "", "LOG_LEVEL": "ERROR"})
os.environ.setdefault("DATABASE_URL", f"sqlite:///{DATA.name}/bench.sqlite3")

import django  # noqa: E402 - settings read the environment

django.setup()

from django.conf import settings  # noqa: E402 - as above
from django.core.management import call_command  # noqa: E402 - as above
from django.db import connection, transaction  # noqa: E402 - as above
from django.test import Client  # noqa: E402 - as above
from django.test.utils import CaptureQueriesContext, setup_test_environment  # noqa: E402 - as above
from django.utils import timezone  # noqa: E402 - as above

from chatapp.accounts.models import User  # noqa: E402 - as above
from conversations.models import (  # noqa: E402 - as above
    AuditEntry,
    ChatModel,
    Conversation,
    Feedback,
    Flag,
    Generation,
    Message,
    SearchEntry,
)
from conversations.search.index import index  # noqa: E402 - as above

TURNS = 10
TIMES = 5
BATCH = 1_000
ACTIONS = 40
SQLITE_SCAN = re.compile(r"^SCAN (.*)")
POSTGRESQL_SCAN = re.compile(r"Seq Scan on (\S+).* (rows=\d{4,})")
EXECUTION = re.compile(r"Execution Time: (\S+) ms")
LIST = "/admin/conversations/conversation/"
PAGES = {
    "conversations": LIST,
    "conversations, page 20": f"{LIST}?p=20",
    "of a user": f"{LIST}?owner=user7",
    "of a model": f"{LIST}?model__id__exact=1",
    "running": f"{LIST}?status=running",
    "failed": f"{LIST}?status=failed",
    "stopped (none)": f"{LIST}?status=stopped",
    "with bad feedback": f"{LIST}?feedback=bad",
    "flagged": f"{LIST}?flags=pending",
    "10 messages or more": f"{LIST}?length=10",
    "200 messages or more (none)": f"{LIST}?length=200",
    "cost of 0.01 or more": f"{LIST}?cost=0.01",
    "cost of 10 or more (none)": f"{LIST}?cost=10",
    "search, a word of all": f"{LIST}?q=river",
    "search, a word of one": f"{LIST}?q=needle",
    "messages": "/admin/conversations/message/",
    "generations": "/admin/conversations/generation/",
    "failed generations": "/admin/conversations/generation/?status=failed",
    "stopped generations (none)": "/admin/conversations/generation/?status=stopped",
    "feedback": "/admin/conversations/feedback/",
    "review queue": "/admin/conversations/flag/",
    "audit trail": "/admin/conversations/auditentry/",
    "audit trail, of an action": "/admin/conversations/auditentry/?action=bench.7",
    "first page": "/admin/",
    "operations": "/admin/operations/",
}


def fill(conversations: int) -> None:
    """Write all rows in bulk."""
    chance = random.Random(1)
    model = ChatModel.objects.create(label="Demo", base_url="demo:", model_name="demo")
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(200))
    for start in range(0, conversations, BATCH):
        rows = [
            Conversation(
                owner=chance.choice(users),
                model=model,
                title=f"Title {number}",
                updated_at=timezone.now() - timedelta(minutes=number),
            )
            for number in range(start, min(conversations, start + BATCH))
        ]
        with transaction.atomic():
            Conversation.objects.bulk_create(rows)
            _fill_messages(rows, model, chance)


def _fill_messages(rows: list[Conversation], model: ChatModel, chance: random.Random) -> None:
    pairs = [pair for row in rows for pair in _turns(row)]
    messages = [message for pair in pairs for message in pair]
    answers = [answer for _, answer in pairs]
    Message.objects.bulk_create(messages, batch_size=2_000)
    Generation.objects.bulk_create((_generation(answer, model, chance) for answer in answers), batch_size=2_000)
    AuditEntry.objects.bulk_create(
        (
            AuditEntry(
                actor_id=row.conversation.owner_id,
                action=f"bench.{chance.randrange(ACTIONS)}",
                conversation_id=row.conversation_id,
            )
            for row in answers
        ),
        batch_size=2_000,
    )
    chosen = chance.sample(answers, len(answers) // 50)
    Feedback.objects.bulk_create(
        Feedback(message=row, owner=row.conversation.owner, value=chance.choice((1, -1))) for row in chosen
    )
    due = timezone.now() + timedelta(days=3)
    Flag.objects.bulk_create(
        Flag(conversation=row.conversation, message=row, source="rule", reason="a rule", due_at=due)
        for row in chosen[: len(chosen) // 10]
    )
    said = messages[::10]
    entries = SearchEntry.objects.bulk_create(
        SearchEntry(owner=row.conversation.owner, conversation=row.conversation, message=row) for row in said
    )
    index().store([(entry, ["river", "said", f"word{chance.randrange(1000)}"]) for entry in entries])


def _turns(row: Conversation) -> Iterator[tuple[Message, Message]]:
    leaf = None
    for _ in range(TURNS):
        question = Message(conversation=row, parent=leaf, role="user", text="What does the river say? " * 4)
        leaf = Message(conversation=row, parent=question, role="assistant")
        yield question, leaf


def _generation(answer: Message, model: ChatModel, chance: random.Random) -> Generation:
    output = [{"kind": "text", "text": "It says nothing that is not said twice. " * 5, "from_ms": 0, "to_ms": 9}]
    status = "failed" if chance.random() < 0.01 else "completed"
    cost = "0.002" if chance.random() < 0.9 else "0.02"
    return Generation(
        message=answer, model=model, status=status, cost=cost, output=output, request_key=uuid.uuid4(), input_tokens=9
    )


def measure(client: Client, path: str) -> tuple[int, str, float, float, float]:
    """Return the number of queries, what their plans read to the end, and milliseconds: all, CPU, in the database."""
    times, cpu = [], []
    for _ in range(TIMES):
        begun, used = time.perf_counter(), time.process_time()
        response = client.get(path)
        times.append((time.perf_counter() - begun) * 1000)
        cpu.append((time.process_time() - used) * 1000)
        assert response.status_code == 200, (path, response.status_code)
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    plans = [_plan(query["sql"]) for query in queries.captured_queries if query["sql"].startswith("SELECT")]
    read = (SQLITE_SCAN if connection.vendor == "sqlite" else POSTGRESQL_SCAN).search
    scans = {
        " ".join(found.groups()).replace("conversations_", "") for plan in plans for found in map(read, plan) if found
    }
    took = sum(float(found[1]) for plan in plans for found in map(EXECUTION.search, plan) if found)
    return len(queries), ", ".join(sorted(scans)), min(times), min(cpu), took


def _plan(sql: str) -> list[str]:
    how = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN (ANALYZE)"
    with connection.cursor() as cursor:
        cursor.execute(f"{how} {sql.replace('%', '%%')}")
        return [row[-1] for row in cursor.fetchall()]


def run(conversations: int) -> None:
    """Print the table."""
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    setup_test_environment()
    call_command("migrate", verbosity=0)
    begun = time.perf_counter()
    if conversations:
        fill(conversations)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    print(f"{Message.objects.count():,} messages, written in {time.perf_counter() - begun:.0f} s\n", flush=True)
    client = Client()
    client.force_login(User.objects.filter(username="bench").first() or User.objects.create_superuser("bench"))
    print("| | queries | ms | CPU ms | in PostgreSQL, ms | scans |\n| --- | --- | --- | --- | --- | --- |")
    for name, path in PAGES.items():
        count, scans, milliseconds, cpu, took = measure(client, path)
        print(f"| {name} | {count} | {milliseconds:.0f} | {cpu:.0f} | {took:.1f} | {scans} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=50_000, help="0: those that are there")
    options = parser.parse_args()
    try:
        run(options.conversations)
    finally:
        connection.close()
        DATA.cleanup()

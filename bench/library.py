"""What lists and searches cost: `python -m bench.library`, on the database that `DATABASE_URL` names, else on SQLite.

One user with 500, then 5,000 conversations of twenty messages each, among them words that every, that one in a
hundred, and that one single message has. For each page: how many queries it makes, how many bytes it has (as sent,
and compressed), and the time of the whole request within this process (the best of 21, because machines are shared),
at both sizes. The growth is that of the time. The database is made for the run and removed at its end.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import tempfile
import time
from datetime import timedelta

DATA = tempfile.TemporaryDirectory(prefix="stillwater-bench-")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")
os.environ.update({"DATA_DIR": DATA.name, "ENV_FILE": f"{DATA.name}/none.env", "OLLAMA_URL": "", "LOG_LEVEL": "ERROR"})
os.environ.setdefault("DATABASE_URL", f"sqlite:///{DATA.name}/bench.sqlite3")

import django  # noqa: E402 - settings read the environment

django.setup()

from django.conf import settings  # noqa: E402 - as above
from django.contrib.auth import get_user_model  # noqa: E402 - as above
from django.db import connection  # noqa: E402 - as above
from django.test import Client  # noqa: E402 - as above
from django.test.utils import CaptureQueriesContext, setup_test_environment  # noqa: E402 - as above
from django.utils import timezone  # noqa: E402 - as above

from conversations.models import ChatModel, Conversation, Generation, Message  # noqa: E402 - as above
from conversations.reading import library  # noqa: E402 - as above
from conversations.search import index_messages, index_titles  # noqa: E402 - as above

TURNS = 10
TIMES = 21
BATCH = 250
PAGES = {
    "home": ("/", {}),
    "list, last page": ("/conversations/list/", {}),
    "manage": ("/conversations/", {}),
    "state": ("/conversations/state/", {}),
    "search, a word of all": ("/conversations/search/", {"q": "river"}),
    "search, of one in 100": ("/conversations/search/", {"q": "seldom"}),
    "search, of one": ("/conversations/search/", {"q": "needle"}),
    "search, of none": ("/conversations/search/", {"q": "nothingofthekind"}),
    "search, first letter": ("/conversations/search/", {"q": "r"}),
    "search, two words": ("/conversations/search/", {"q": "river seldom"}),
    "search, 深度学": ("/conversations/search/", {"q": "深度学"}),
}
VOCABULARY = [f"{a}{b}" for a in ("ba", "co", "di", "fu", "le", "mo", "ne", "pa", "ra", "so") for b in range(200)]


def fill(owner, model: ChatModel, count: int, first: int) -> None:
    """Add conversations until there are `count`."""
    chance = random.Random(first)
    for start in range(first, count, BATCH):
        rows = [
            Conversation(
                owner=owner,
                model=model,
                title=" ".join(chance.choices(VOCABULARY, k=4)),
                updated_at=timezone.now() - timedelta(minutes=7 * number),
            )
            for number in range(start, min(count, start + BATCH))
        ]
        Conversation.objects.bulk_create(rows)
        messages: list[Message] = []
        generations: list[Generation] = []
        for row in rows:
            leaf = None
            for _ in range(TURNS):
                question = Message(conversation=row, parent=leaf, role="user", text=words(chance, 10))
                leaf = Message(conversation=row, parent=question, role="assistant")
                messages += [question, leaf]
                output = [{"kind": "text", "text": words(chance, 50), "from_ms": 0, "to_ms": 9}]
                generations.append(Generation(message=leaf, status="completed", model=model, output=output))
            row.active_leaf = leaf
        Message.objects.bulk_create(messages)
        Generation.objects.bulk_create(generations)
        Conversation.objects.bulk_update(rows, ["active_leaf"])
        index_titles([row.pk for row in rows])
        ids = [message.pk for message in messages]
        index_messages(list(Message.objects.filter(pk__in=ids).prefetch_related("generations")))


def words(chance: random.Random, count: int) -> str:
    """A text of so many words, with those that are looked for."""
    chosen = ["river", *chance.choices(VOCABULARY, k=count)]
    if chance.random() < 0.01:
        chosen += ["seldom", "深度学习"]
    return " ".join(chosen)


def measure(client: Client, path: str, sent: dict[str, str]) -> tuple[int, int, int, float]:
    """Return queries, bytes, compressed bytes, and milliseconds."""
    fragment = {"HX-Request": "true"} if path not in {"/", "/conversations/"} else {}

    def ask() -> bytes:
        response = client.get(path, sent, headers=fragment)
        assert response.status_code == 200, (path, response.status_code)
        return response.content

    ask()
    with CaptureQueriesContext(connection) as queries:
        html = ask()
    count = len(queries)  # before the next request forgets them
    times = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begun) * 1000)
    return count, len(html), len(gzip.compress(html, 6)), min(times)


def cursor_of(owner, conversations: int) -> str:
    """Where the last page but one of the list begins."""
    row = Conversation.objects.filter(owner=owner).order_by("-updated_at", "-id")[conversations - 80]
    return str(library.Cursor(row.pinned, row.updated_at, row.pk))


def run(small: int, large: int) -> None:
    """Print the table."""
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    setup_test_environment()
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    owner = get_user_model().objects.create_user("bench")
    model = ChatModel.objects.create(label="Demo", base_url="demo:", model_name="demo")
    client = Client()
    client.force_login(owner)
    rows: dict[str, list[tuple[int, int, int, float]]] = {name: [] for name in PAGES}
    done = 0
    for size in (small, large):
        begun = time.perf_counter()
        fill(owner, model, size, done)
        Message.objects.filter(role="user").order_by("-pk")[:1].get()
        print(f"{size - done} conversations written and indexed in {time.perf_counter() - begun:.0f} s", flush=True)
        if not done:
            needle = Message.objects.filter(role="user").first()
            assert needle is not None
            needle.text += " needle"
            needle.save()
            index_messages([needle])
        done = size
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        for name, (path, sent) in PAGES.items():
            more = {"after": cursor_of(owner, size)} if "page" in name else {}
            rows[name].append(measure(client, path, {**sent, **more}))
    print(f"\n{connection.vendor}: {small:,} and {large:,} conversations, {2 * TURNS * large:,} messages\n")
    print(
        "| | queries | bytes | compressed | ms at a tenth | ms | growth |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for name, (before, after) in rows.items():
        queries = str(after[0]) if before[0] == after[0] else f"{before[0]} → {after[0]}"
        growth = after[3] / before[3]
        print(f"| {name} | {queries} | {after[1]:,} | {after[2]:,} | {before[3]:.1f} | {after[3]:.1f} | {growth:.1f} |")
    connection.creation.destroy_test_db(":memory:" if connection.vendor == "sqlite" else "stillwater", verbosity=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=500)
    parser.add_argument("--large", type=int, default=5000)
    options = parser.parse_args()
    try:
        run(options.small, options.large)
    finally:
        connection.close()
        DATA.cleanup()

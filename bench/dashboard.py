"""The admin's dashboard with many generations: `python -m bench.dashboard --generations 1000000`.

Fills a database of its own (SQLite, unless DATABASE_URL names another, which must be empty) with generations of 30
days, then measures the making of the sums of one hour and of all, and each page of the dashboard with its queries.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
import uuid
from datetime import timedelta
from pathlib import Path

CONVERSATIONS, USERS, MODELS, BATCH = 2_000, 500, 5, 5_000
WRITTEN = 8_000  # one by one; the rest are copies of these


def fill(count: int) -> None:
    """Write generations as a month of use would leave them."""
    from django.contrib.auth import get_user_model

    from conversations.models import ChatModel, Conversation, Generation, Message

    user_model = get_user_model()
    users = user_model.objects.bulk_create([user_model(username=f"user{number}") for number in range(USERS)])
    models = [ChatModel(label=f"Model {n}", base_url="http://x/v1", model_name=f"m{n}") for n in range(MODELS)]
    models = ChatModel.objects.bulk_create(models)
    conversations = Conversation.objects.bulk_create(
        [Conversation(owner=random.choice(users), title="Bench") for _ in range(CONVERSATIONS)]
    )
    messages = Message.objects.bulk_create([Message(conversation=one, role="assistant") for one in conversations])
    written = min(count, WRITTEN)
    for start in range(0, written, BATCH):
        rows = [one_of(messages, models) for _ in range(min(BATCH, written - start))]
        Generation.objects.bulk_create(rows)
    while written < count:
        written += copy(min(written, count - written))


def one_of(messages: list, models: list):
    """A generation of somebody, some time within 30 days."""
    from django.utils import timezone

    from conversations.models import Generation

    ended_at = timezone.now() - timedelta(seconds=random.random() * 30 * 86_400)
    first = int(random.lognormvariate(6, 0.8))
    status = random.choices(["completed", "stopped", "interrupted", "failed"], [88, 6, 3, 3])[0]
    return Generation(
        id=uuid.uuid4(),
        message=random.choice(messages),
        model=random.choice(models),
        status=status,
        epoch=1,
        error_code="cut" if status == "failed" else "",
        arm=random.choice(["steady", "fast"]),
        created_at=ended_at - timedelta(seconds=12),
        ended_at=ended_at,
        time_to_first_token_ms=first,
        painted_ms=first + 90,
        input_tokens=400,
        output_tokens=300,
    )


def copy(count: int) -> int:
    """Double that many generations within the database; return how many there are more."""
    from django.db import connection

    from conversations.models import Generation

    fresh = "gen_random_uuid()" if connection.vendor == "postgresql" else "lower(hex(randomblob(16)))"
    columns = [field.column for field in Generation._meta.concrete_fields]
    values = [fresh if column in {"id", "request_key"} else column for column in columns]
    table = Generation._meta.db_table
    with connection.cursor() as cursor:
        select = f"SELECT {', '.join(values)} FROM {table} LIMIT {count}"
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {select}")
    return count


def measure() -> None:
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from conversations.measuring import figures
    from conversations.models import HourlyFigures

    started = time.monotonic()
    figures._sum_up(figures._hour_of(timezone.now() - timedelta(hours=5)))
    print(f"sums of one hour         {time.monotonic() - started:8.3f} s")
    HourlyFigures.objects.all().delete()
    started = time.monotonic()
    figures.roll_up(most_seconds=3_600)
    print(f"sums of 30 days          {time.monotonic() - started:8.1f} s, {HourlyFigures.objects.count()} rows")
    started = time.monotonic()
    figures.roll_up()
    print(f"sums again (each 30 s)   {time.monotonic() - started:8.3f} s")
    client = Client(headers={"host": "localhost"})
    client.force_login(get_user_model().objects.create_superuser(username="boss", password=uuid.uuid4().hex))
    for period in ("24h", "7d", "30d"):
        with CaptureQueriesContext(connection) as queries:
            started = time.monotonic()
            assert client.get("/admin/conversations/hourlyfigures/", {"period": period}).status_code == 200
            took = time.monotonic() - started
        in_queries = sum(float(query["time"]) for query in queries)
        print(f"page of {period:17}{took:8.3f} s, {len(queries)} queries, {in_queries:.3f} s in them")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generations", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        os.environ["DATA_DIR"] = directory
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(directory) / 'db.sqlite3'}")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapp.settings")
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        started = time.monotonic()
        fill(options.generations)
        print(f"{options.generations} generations written in {time.monotonic() - started:.0f} s", flush=True)
        measure()


if __name__ == "__main__":
    main()

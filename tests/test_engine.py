"""What a process does by itself: slots for generations, upkeep, and knowing that it is alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import timedelta
from functools import partial

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from conversations import audit, dispatch, runner, tasks
from conversations.generating import claims
from conversations.keeping import purge
from conversations.measuring import figures
from conversations.models import AuditEntry, Conversation, Generation, HourlyFigures, Worker
from conversations.process import duties, engine, jobs
from conversations.threads import reader
from tests.factories import make_conversation, make_turn, make_user
from tests.process import ROOT
from tests.test_runner import ask, ended


@pytest.fixture
def one_slot(settings) -> None:
    settings.WORKER_GENERATIONS = 1


@pytest.fixture
def narrow_process(one_slot: None, process: None) -> None:
    """A process with one slot."""


async def test_what_finds_no_slot_waits_for_one(narrow_process):
    first = await ask("A long one [[speed=50]] [[length=300]]")
    second = await ask("A short one [[speed=0]] [[length=10]]")
    async with asyncio.timeout(10):
        while not runner.running():  # noqa: ASYNC110 - the runner tells nobody
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    waiting = await Generation.objects.aget(pk=second.pk)
    assert (runner.running(), waiting.status) == (1, "queued")
    assert (await ended(first)).status == "completed"
    assert (await ended(second)).status == "completed"


async def test_a_process_that_ends_takes_no_more(narrow_process):
    await dispatch.detach()
    assert await engine.admit((await _queued()).pk) is False
    late = await ask("Sent at the last moment")  # is neither refused nor lost
    assert (await Generation.objects.aget(pk=late.pk)).status == "queued"


async def _queued() -> Generation:
    return await reader.call(lambda: make_turn(make_conversation(make_user("ada")), answer="", status="queued"))


def test_workers_are_seen_by_the_databases_clock(db):
    assert not Worker.seen(20).exists()
    Worker.report("one", running=3, capacity=10)
    Worker.report("one", running=4, capacity=10)
    assert list(Worker.seen(20).values_list("name", "running", "capacity")) == [("one", 4, 10)]
    assert not Worker.seen(-5).exists()


def test_only_the_first_of_several_processes_is_alone(tmp_path, settings):
    if connection.vendor != "sqlite":
        pytest.skip("on PostgreSQL nobody can know")
    code = (
        "import django; django.setup(); from conversations.process.alone import first_alone;"
        "print(first_alone(), first_alone(), flush=True); input()"
    )

    def start() -> subprocess.Popen[str]:
        import os

        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "chatapp.settings",
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True
        )

    first = start()
    assert first.stdout.readline() == "True False\n"
    second = start()
    assert second.stdout.readline() == "False False\n"
    first.kill()
    first.communicate()
    third = start()  # the second one still lives
    assert third.stdout.readline() == "False False\n"
    for process in (second, third):
        process.kill()
        process.communicate()
    last = start()
    assert last.stdout.readline() == "True False\n"
    last.communicate("\n")


async def test_a_duty_that_fails_holds_up_none_of_the_others(caplog):
    done = []

    async def fail() -> None:
        raise OverflowError("no such day")

    async def locked() -> None:
        raise OperationalError("database is locked")

    async def work() -> None:
        done.append("work")

    with pytest.raises(OperationalError, match="locked"):
        await duties.each(fail, work, locked, work, locked)
    assert done == ["work", "work"]
    assert [record.message for record in caplog.records] == ["A duty of the upkeep failed, and is tried again"]
    with pytest.raises(OperationalError):  # and once more when one of them has duties of its own
        await duties.each(partial(duties.each, locked, locked), work)
    assert len(done) == 3
    assert "locked" not in caplog.text


def _something_to_do(settings, monkeypatch) -> None:
    """The first duty cannot be done, and there is something for those behind it."""
    settings.QUEUED_SECONDS = 1e300
    monkeypatch.setattr(figures, "_rolled_up", -figures.ROLL_UP_SECONDS)
    monkeypatch.setattr(purge, "_tidied", -purge.TIDY_SECONDS)
    user = make_user("ada")
    make_turn(make_conversation(user, temporary=True, updated_at=timezone.now() - timedelta(days=9)))
    make_turn(make_conversation(user))
    Generation.objects.update(ended_at=timezone.now())
    with pytest.raises(OverflowError):
        claims.end_unclaimed()


def _is_done() -> bool:
    return HourlyFigures.objects.exists() and not Conversation.objects.filter(temporary=True, deleted_at=None).exists()


def test_a_sweep_does_what_can_be_done(db, settings, monkeypatch, caplog):
    _something_to_do(settings, monkeypatch)
    tasks.sweep()
    assert _is_done()
    assert caplog.text.count("A duty of the upkeep failed") == 1


async def test_the_upkeep_does_what_can_be_done(transactional_db, settings, monkeypatch, caplog):
    await reader.call(_something_to_do, settings, monkeypatch)
    await engine.run_left()
    assert await reader.call(_is_done)
    assert caplog.text.count("A duty of the upkeep failed") == 1
    await runner.close()
    await reader.close()


async def test_what_is_common_to_all_is_done_when_the_own_upkeep_fails(transactional_db, monkeypatch):
    await reader.call(lambda: audit.record(None, "retention.delete", rule=1))

    async def fail() -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(engine, "UPKEEP_SECONDS", 0.01)
    engine.attach(fail)
    async with asyncio.timeout(5):
        await engine.ready()
    await engine.detach()
    jobs.open_up()  # for the tests behind this one
    assert await reader.call(AuditEntry.objects.filter(position__isnull=False).count) == 1
    await reader.close()

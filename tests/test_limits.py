"""Plans, meters and reservations: who may use what, also when many ask at once or a process dies."""

from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatapp.accounts.addresses import client_network, forwarded_address, network
from conversations import limits, turns
from conversations.limits import metering
from conversations.limits.metering import window
from conversations.models import Conversation, Generation, Message, Meter, Plan, Reservation
from conversations.threads import reader
from tests.factories import make_conversation, make_model, make_running, make_turn, make_user

UNLIMITED = ("REQUESTS_PER_MINUTE", "TOKENS_PER_MINUTE", "TOKENS_PER_DAY", "TOKENS_PER_MONTH", "GENERATIONS")


@pytest.fixture(autouse=True)
def _nothing_limited(settings):
    for name in UNLIMITED:
        setattr(settings, f"LIMIT_{name}", 0)
    settings.RESERVED_OUTPUT_TOKENS = 100


def start(user, text: str = "Hello") -> turns.Turn:
    return turns.start(user, text=text, model=make_model(), request_key=uuid.uuid4())


def used(subject: str, limit: str) -> int:
    return Meter.objects.get(subject=subject, limit=limit).used


def end(generation: Generation, **fields) -> None:
    values = {"status": "completed", "started_at": timezone.now(), **fields}
    Generation.objects.filter(pk=generation.pk).update(**values)


def give_plan(user, name: str, **fields) -> Plan:
    plan, _ = Plan.objects.get_or_create(name=name, defaults=fields)
    group, _ = Group.objects.get_or_create(name=name)
    plan.groups.add(group)
    user.groups.add(group)
    return plan


# --- plans


def test_without_a_plan_the_settings_count(user, settings):
    settings.LIMIT_TOKENS_PER_DAY = 5
    settings.LIMIT_STREAMS = 0
    found = limits.limits_of(user)
    assert (found.tokens_per_day, found.streams, found.tokens_per_month) == (5, None, None)


def test_of_several_plans_the_most_generous_counts_limit_by_limit(user, settings):
    settings.LIMIT_TOKENS_PER_DAY = 1
    give_plan(user, "small", tokens_per_day=10, generations=5, streams=3, requests_per_minute=1)
    give_plan(user, "large", tokens_per_day=20, generations=2, streams=0, requests_per_minute=None)
    found = limits.limits_of(user)
    assert (found.tokens_per_day, found.generations, found.streams, found.requests_per_minute) == (20, 5, None, None)


@pytest.mark.parametrize("groups", [1, 3])
def test_a_turn_costs_the_same_queries_however_many_groups(user, ending_process, groups):
    for number in range(groups):
        give_plan(user, f"plan {number}", requests_per_minute=10)
    start(user)
    with (
        CaptureQueriesContext(
            connection,
        ) as queries,
        transaction.atomic(),
    ):
        limits.reserve(uuid.uuid4(), user, "", lambda: limits.Estimate(1, 1))
    assert len(queries) <= 6


# --- windows


def test_windows_of_minute_day_and_month(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    with timezone.override("Europe/Berlin"):
        now = datetime(2026, 3, 29, 10, 20, 30, tzinfo=UTC)  # the day on which the clock is set forward
        assert window("tokens_per_minute", now) == (now.replace(second=0), now.replace(minute=21, second=0))
        assert window("tokens_per_day", now) == (
            datetime(2026, 3, 28, 23, tzinfo=UTC),
            datetime(2026, 3, 29, 22, tzinfo=UTC),
        )
        assert window("tokens_per_month", now) == (
            datetime(2026, 2, 28, 23, tzinfo=UTC),
            datetime(2026, 3, 31, 22, tzinfo=UTC),
        )


@pytest.mark.django_db(transaction=True)
def test_a_new_window_begins_with_nothing_used(user, ending_process, settings):
    settings.LIMIT_REQUESTS_PER_MINUTE = 1
    start(user)
    with pytest.raises(turns.LimitReached):
        start(user)
    Meter.objects.update(starts_at=timezone.now() - timedelta(minutes=2))
    start(user)
    assert used(f"user:{user.pk}", "requests_per_minute") == 1


# --- reserving and settling


@pytest.mark.django_db(transaction=True)
def test_a_refused_request_leaves_nothing_behind(user, ending_process, settings):
    settings.LIMIT_TOKENS_PER_DAY = 150
    start(user)
    with pytest.raises(turns.LimitReached) as refusal:
        start(user)
    assert refusal.value.status == 429
    assert 0 < refusal.value.retry_after_seconds <= 86_400
    assert "Your text is kept" in str(refusal.value)
    assert Conversation.objects.count() == Generation.objects.count() == Reservation.objects.count() == 1
    assert used(f"user:{user.pk}", "tokens_per_day") == 102


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"input_tokens": 10, "output_tokens": 20}, 30),
        ({"input_tokens": 10, "output_tokens": 500}, 510),
        ({"output": [{"kind": "text", "text": "four" * 10}]}, 14),
        ({"status": "failed"}, 0),
        ({"status": "failed", "output": [{"kind": "text", "text": "four" * 10}]}, 14),
        ({"status": "stopped", "started_at": None}, 0),
        ({"status": "stopped"}, 2),
        ({"status": "interrupted"}, 2),
        ({"status": "completed", "input_tokens": 10}, 10),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_what_was_reserved_is_settled_by_what_was_used(user, ending_process, settings, fields, tokens):
    settings.LIMIT_TOKENS_PER_DAY = 1_000
    settings.LIMIT_TOKENS_PER_MONTH = 1_000
    turn = start(user)
    assert used(f"user:{user.pk}", "tokens_per_day") == 102
    limits.settle(turn.generation.pk)
    assert used(f"user:{user.pk}", "tokens_per_day") == 102  # it still runs
    end(turn.generation, **fields)
    for _ in range(2):
        limits.settle(turn.generation.pk)
    assert used(f"user:{user.pk}", "tokens_per_day") == used(f"user:{user.pk}", "tokens_per_month") == tokens
    assert not Reservation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_next_request_settles_what_a_crash_has_left(user, ending_process, settings):
    settings.LIMIT_TOKENS_PER_DAY = 150
    end(start(user).generation, input_tokens=5, output_tokens=5)
    start(user)
    assert used(f"user:{user.pk}", "tokens_per_day") == 112


@pytest.mark.django_db(transaction=True)
def test_the_upkeep_settles_what_was_deleted_as_it_was_reserved(user, ending_process, settings):
    settings.LIMIT_TOKENS_PER_DAY = 1_000
    turn = start(user)
    turn.conversation.delete()
    limits.settle_left()
    assert used(f"user:{user.pk}", "tokens_per_day") == 102
    assert not Reservation.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_was_used_belongs_to_the_window_in_which_it_was_asked_for(user, ending_process, settings):
    settings.LIMIT_TOKENS_PER_MINUTE = 1_000
    turn = start(user)
    Meter.objects.update(starts_at=timezone.now() + timedelta(minutes=1), used=7)  # the next window has begun
    end(turn.generation, input_tokens=900, output_tokens=0)
    limits.settle(turn.generation.pk)
    assert used(f"user:{user.pk}", "tokens_per_minute") == 7


@pytest.mark.django_db(transaction=True)
def test_more_than_a_window_holds_is_refused_for_good(user, ending_process, settings):
    settings.LIMIT_TOKENS_PER_MINUTE = 101
    with pytest.raises(turns.LimitReached, match="about 102 tokens") as refusal:
        start(user)
    assert (refusal.value.status, refusal.value.retry_after_seconds) == (422, None)


@pytest.mark.django_db(transaction=True)
def test_the_whole_branch_and_max_tokens_are_reserved(user, ending_process, settings):
    settings.LIMIT_TOKENS_PER_DAY = 10_000
    conversation = make_conversation(user, system_prompt="1234" * 3, parameters={"max_tokens": 50})
    make_turn(conversation, "1234" * 10, "1234" * 20)
    turns.send(conversation, text="1234" * 5, model=None, request_key=uuid.uuid4())
    assert used(f"user:{user.pk}", "tokens_per_day") == 4 + 12 + 23 + 6 + 50


@pytest.mark.django_db(transaction=True)
def test_a_deleted_account_leaves_nothing_that_was_counted(user, stranger, ending_process, settings):
    settings.LIMIT_TOKENS_PER_DAY = 1_000
    start(user)
    start(stranger)
    user.delete()
    assert list(Meter.objects.values_list("subject", flat=True)) == [f"user:{stranger.pk}"]
    assert Reservation.objects.count() == 1


# --- at once


@pytest.mark.django_db(transaction=True)
def test_answers_at_once_are_limited_and_a_stopped_one_makes_room(user, ending_process, settings):
    settings.LIMIT_GENERATIONS = 1
    conversation = make_conversation(user)
    generation = make_running(conversation)
    with pytest.raises(turns.LimitReached) as refusal:
        start(user)
    assert refusal.value.retry_after_seconds == metering.BUSY_SECONDS
    Generation.request_stop(Generation.objects.filter(pk=generation.pk))
    start(user)


def at_once(count: int, ask) -> list[str]:
    """What `count` calls in threads of their own end with: "ok" or the name of what they raised."""

    def one(_number: int) -> str:
        try:
            ask()
        except turns.TurnRefused as refusal:
            return type(refusal).__name__
        finally:
            connections.close_all()
        return "ok"

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.parametrize(
    "limit", [{"LIMIT_TOKENS_PER_DAY": 150}, {"LIMIT_REQUESTS_PER_MINUTE": 1}, {"LIMIT_GENERATIONS": 1}]
)
@pytest.mark.django_db(transaction=True)
def test_of_fifty_at_once_exactly_one_passes(user, ending_process, settings, limit):
    for name, value in limit.items():
        setattr(settings, name, value)
    while "LIMIT_REQUESTS_PER_MINUTE" in limit and timezone.now().second > 45:
        time.sleep(1)  # a new minute would begin within
    make_model()
    results = at_once(50, lambda: start(user))
    assert results.count("ok") == 1
    assert results.count("LimitReached") == 49
    assert Generation.objects.count() == Message.objects.filter(role="user").count() == 1


@pytest.mark.django_db(transaction=True)
def test_users_of_many_shared_subjects_never_wait_for_one_another_in_a_circle(ending_process, settings):
    settings.ADDRESS_TOKENS_PER_DAY = 10_000_000
    settings.ADDRESS_GENERATIONS = 1_000
    users = [make_user(f"user-{number}") for number in range(6)]
    for person in users:
        give_plan(person, "class", tokens_per_day=1_000_000, group_tokens_per_month=10_000_000)
    make_model()

    def work(person) -> None:
        token = client_network.set("192.0.2.1")
        for _ in range(4):
            end(start(person).generation, input_tokens=1, output_tokens=1)
            limits.settle_left()
        client_network.reset(token)
        connections.close_all()

    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(work, users))
    limits.settle_left()
    assert used("address:192.0.2.1", "tokens_per_day") == 2 * 24
    assert [used(f"user:{person.pk}", "tokens_per_day") for person in users] == [8] * 6


# --- groups and addresses


@pytest.mark.django_db(transaction=True)
def test_a_group_shares_its_tokens(ending_process, settings):
    ada, grace = make_user("ada"), make_user("grace")
    for person in (ada, grace):
        give_plan(person, "class", group_tokens_per_day=150)
    start(ada)
    with pytest.raises(turns.LimitReached, match="share with others"):
        start(grace)
    give_plan(grace, "another class", group_tokens_per_day=150)
    start(grace)
    give_plan(ada, "staff")
    start(ada)


@pytest.mark.django_db(transaction=True)
def test_an_address_is_limited_across_users(ending_process, settings):
    settings.ADDRESS_REQUESTS_PER_MINUTE = 1
    settings.ADDRESS_GENERATIONS = 5
    ada, grace = make_user("ada"), make_user("grace")
    token = client_network.set("192.0.2.1")
    start(ada)
    with pytest.raises(turns.LimitReached, match="your network"):
        start(grace)
    client_network.set("192.0.2.2")
    start(grace)
    settings.ADDRESS_REQUESTS_PER_MINUTE = 0
    settings.ADDRESS_GENERATIONS = 1
    with pytest.raises(turns.LimitReached):
        start(grace)
    client_network.reset(token)


@pytest.mark.parametrize(
    ("proxies", "header", "address"),
    [
        (0, "1.2.3.4", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "1.2.3.4", "1.2.3.4"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 5.5.5.5", "1.2.3.4"),
        (2, "1.2.3.4", "10.0.0.1"),
    ],
)
def test_only_our_proxies_are_believed(settings, proxies, header, address):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    assert forwarded_address("10.0.0.1", header) == address


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", "unknown"),
        ("x" * 99, "x" * 45),
    ],
)
def test_what_counts_as_one_address(address, counts_as):
    assert network(address) == counts_as


# --- without counting


@pytest.mark.django_db(transaction=True)
def test_a_message_longer_than_the_plan_allows_is_refused(user, ending_process):
    give_plan(user, "short", message_characters=5)
    with pytest.raises(turns.LimitReached, match="at most 5 characters") as refusal:
        start(user, "123456")
    assert refusal.value.status == 422
    assert start(user, "12345").generation


def test_attachments_are_checked_by_number_and_size(user):
    give_plan(user, "files", attachments=2, attachment_bytes=1_000_000)
    limits.check_attachments(user, [1, 1_000_000])
    with pytest.raises(limits.LimitExceeded, match="at most 2 files"):
        limits.check_attachments(user, [1, 1, 1])
    with pytest.raises(limits.LimitExceeded, match="at most 1 MB"):
        limits.check_attachments(user, [1_000_001])


# --- in the page


@pytest.mark.django_db(transaction=True)
def test_the_page_says_429_keeps_the_text_and_when_to_come_back(client, user, ending_process, settings):
    settings.LIMIT_TOKENS_PER_DAY = 150
    conversation = start(user).conversation
    end(conversation.active_leaf.generations.get(), input_tokens=100, output_tokens=0)
    client.force_login(user)
    for path in ("/c/", f"/c/{conversation.pk}/send/"):
        response = client.post(path, {"text": "My long <text>", "model": make_model().pk})
        assert response.status_code == 429
        assert int(response["Retry-After"]) > 0
        page = response.content.decode()
        assert "My long &lt;text&gt;</textarea>" in page
        assert "You have used your tokens of today." in page
    fragment = client.post(f"/c/{conversation.pk}/send/", {"text": "Again"}, headers={"HX-Request": "true"})
    assert fragment.status_code == 429
    assert "<hx-partial" in fragment.content.decode()
    assert "You have used your tokens of today." in fragment.content.decode()


def test_the_page_of_limits_says_what_is_left(client, user, settings):
    settings.LIMIT_TOKENS_PER_DAY = 2_000
    settings.LIMIT_GENERATIONS = 3
    make_running(make_conversation(user))
    Meter.objects.create(
        subject=f"user:{user.pk}",
        limit="tokens_per_day",
        starts_at=window("tokens_per_day", timezone.now())[0],
        used=500,
    )
    client.force_login(user)
    page = " ".join(client.get("/limits/").content.decode().split())
    assert "500 of 2,000 used, 1,500 left." in page
    assert "1 of 3 used, 2 left." in page
    assert "All of it is back" in page
    assert 'max="2000" value="500"' in page


def test_the_page_of_limits_without_limits(client, user):
    client.force_login(user)
    assert "Nothing is limited for you." in client.get("/limits/").content.decode()


@pytest.mark.parametrize("plans", [1, 3])
def test_the_page_of_limits_has_bounded_queries(client, user, plans):
    for number in range(plans):
        give_plan(user, f"plan {number}", tokens_per_day=10, requests_per_minute=5)
    client.force_login(user)
    client.get("/limits/")
    with CaptureQueriesContext(connection) as queries:
        client.get("/limits/")
    assert len(queries) <= 6


def test_plans_are_edited_in_the_admin(admin_client, user):
    group = Group.objects.create(name="class")
    response = admin_client.post(
        "/admin/conversations/plan/add/", {"name": "Class", "groups": [group.pk], "tokens_per_day": 9}
    )
    assert response.status_code == 302
    user.groups.add(group)
    assert limits.limits_of(user).tokens_per_day == 9


# --- the whole way


async def test_an_answer_is_settled_when_it_has_ended(process, settings):
    settings.LIMIT_TOKENS_PER_DAY = 100_000

    def ask() -> turns.Turn:
        return start(make_user("ada"), "Hello [[speed=0]] [[length=40]]")

    turn = await reader.call(ask)
    async with asyncio.timeout(10):
        while await Reservation.objects.aexists():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    row = await Generation.objects.aget(pk=turn.generation.pk)
    meter = await Meter.objects.aget(limit="tokens_per_day")
    assert row.status == "completed"
    assert meter.used == row.input_tokens + row.output_tokens


async def test_the_upkeep_settles_what_was_left(process, settings):
    settings.LIMIT_TOKENS_PER_DAY = 100_000
    from conversations.process import engine

    def leave() -> None:
        generation = make_turn(make_conversation(make_user("ada")), input_tokens=3, output_tokens=4)
        start_of_day = window("tokens_per_day", timezone.now())[0]
        Meter.objects.create(subject="user:1", limit="tokens_per_day", starts_at=start_of_day, used=100)
        Reservation.objects.create(
            generation_id=generation.pk,
            owner_id=1,
            input_tokens=50,
            tokens=100,
            charges=[["user:1", "tokens_per_day", start_of_day.isoformat()]],
        )

    await reader.call(leave)
    engine._engine.wake.set()
    async with asyncio.timeout(10):
        while await Reservation.objects.aexists():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    assert (await Meter.objects.aget()).used == 7

"""Breakers and fallbacks: whom an answer is asked of when services fail, with a real service on a real socket."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from conversations import turns
from conversations.asking import breakers, routes
from conversations.asking.breakers import Permit, admit
from conversations.models import AuditEntry, Breaker, ChatModel, Delta, FilterRule, Generation
from conversations.providers.base import Event, Finished, ProviderError, TextDelta, Usage
from conversations.providers.errors import failure
from conversations.reading.transcript import single
from conversations.safety import filtering, moderation
from conversations.threads import reader
from tests import provider_fixtures
from tests.factories import make_conversation, make_model, make_turn, make_user

provider_server_process = provider_fixtures.provider_server_process
provider_server = provider_fixtures.provider_server

DOWN = "http://127.0.0.1:9/v1"  # the discard port: nobody listens there
SERVICE = "http://service.example/v1"


@pytest.fixture(autouse=True)
def _forgetful(settings):
    """Failures are counted by process: each test begins with none. Opening is for long, unless a test says so."""
    breakers._failures.clear()
    settings.BREAKER_SECONDS = 60
    settings.CONNECT_SECONDS = 2
    yield
    breakers._failures.clear()


@pytest.fixture
async def threads(transactional_db):
    yield
    await breakers.database.close()
    await reader.close()


async def events_of(*events: Event | ProviderError):
    for event in events:
        if isinstance(event, ProviderError):
            raise event
        yield event


async def outcome(*events: Event | ProviderError, permit: Permit = Permit.NORMAL) -> str:
    """Pass an answer by the breaker of `SERVICE`; return the code it failed with, or nothing."""
    try:
        async for _ in breakers.watched(SERVICE, permit, events_of(*events)):
            pass
    except ProviderError as error:
        return error.code
    return ""


GOOD = (TextDelta("Yes."), Finished("stop", Usage(1, 1), "m"))
DEAD = failure("unreachable")


async def permit() -> Permit:
    return await reader.call(admit, SERVICE)


async def pass_time() -> None:
    """Let the breaker's time be over."""
    await Breaker.objects.aupdate(retry_at=timezone.now() - timedelta(seconds=1))


# --- states


async def test_five_failures_in_a_row_open_it_and_a_probe_closes_it(threads):
    for _ in range(4):
        await outcome(DEAD)
    assert await permit() is Permit.NORMAL
    await outcome(DEAD)
    took = []
    for _ in range(20):
        started = time.monotonic()
        assert await permit() is Permit.REFUSED
        took.append(time.monotonic() - started)
    assert min(took) < 0.01  # the others may have waited for the machine
    row = await Breaker.objects.aget()
    assert (row.state, row.last_error, row.trips) == ("open", "unreachable", 1)
    await pass_time()
    assert (await Breaker.objects.aget()).state == "half-open"
    assert [await permit() for _ in range(20)] == [Permit.PROBE] + [Permit.REFUSED] * 19
    await outcome(*GOOD, permit=Permit.PROBE)
    assert await permit() is Permit.NORMAL
    assert (await Breaker.objects.aget()).state == "closed"
    actions = [entry.action async for entry in AuditEntry.objects.order_by("pk")]
    assert actions == ["breaker.open", "breaker.close"]


async def test_one_probe_of_many_at_once(threads):
    await reader.call(Breaker.trip, SERVICE, "unreachable", 60, 600)
    await pass_time()
    permits = await asyncio.gather(
        *(breakers.database.call(admit, SERVICE), *(reader.call(admit, SERVICE) for _ in range(20)))
    )
    assert permits.count(Permit.PROBE) == 1


async def test_a_probe_that_fails_opens_it_for_twice_as_long(threads):
    for _ in range(5):
        await outcome(DEAD)
    first = await Breaker.objects.aget()
    await pass_time()
    assert await permit() is Permit.PROBE
    await outcome(DEAD, permit=Permit.PROBE)
    second = await Breaker.objects.aget()
    assert second.trips == 2
    assert (second.retry_at - second.changed_at) == 2 * (first.retry_at - first.changed_at)
    assert await permit() is Permit.REFUSED


@pytest.mark.parametrize(
    "answer",
    [
        (failure("unauthorized", detail="HTTP 401"),),
        (failure("model_not_found", detail="HTTP 404"),),
        (failure("rate_limited", detail="HTTP 429"),),
        (failure("server_error", detail="HTTP 408"),),
        (failure("context_too_long"),),
        (TextDelta("Half"), failure("cut", interrupted=True)),
        (TextDelta("Half"), failure("idle_timeout", interrupted=True)),
        (Finished("content_filter", None, "m"),),
    ],
)
async def test_what_says_nothing_against_a_service_does_not_count(threads, answer):
    for _ in range(2):
        for _ in range(4):
            await outcome(DEAD)
        await outcome(*answer)
    assert not await Breaker.objects.aexists()


async def test_a_stop_is_no_failure_and_gives_the_probe_back(threads):
    await reader.call(Breaker.trip, SERVICE, "unreachable", 60, 600)
    await pass_time()
    assert await permit() is Permit.PROBE

    async def silent():
        await asyncio.Event().wait()
        yield TextDelta("never")

    async def watch() -> None:
        async for _ in breakers.watched(SERVICE, Permit.PROBE, silent()):
            pass

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.05)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    async with asyncio.timeout(5):
        while await permit() is not Permit.PROBE:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("mode", "is_open", "expected"),
    [("open", False, Permit.REFUSED), ("closed", True, Permit.NORMAL), ("auto", True, Permit.REFUSED)],
)
async def test_an_admin_can_force_it(threads, mode, is_open, expected):
    later = timezone.now() + timedelta(hours=1)
    await Breaker.objects.acreate(base_url=SERVICE, mode=mode, is_open=is_open, retry_at=later)
    assert await permit() is expected


@pytest.mark.django_db
def test_the_admin_lists_every_service_and_changes_only_the_mode(admin_client):
    make_model(base_url=SERVICE, model_name="a")
    make_model(base_url=SERVICE, model_name="b")
    make_model()
    page = admin_client.get("/admin/conversations/breaker/").content.decode()
    assert SERVICE in page
    row = Breaker.objects.get()
    data = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(row.pk), "form-0-mode": "open"}
    admin_client.post("/admin/conversations/breaker/", {**data, "_save": "Save"})
    row.refresh_from_db()
    assert (row.mode, row.state) == ("open", "open")
    assert AuditEntry.objects.get(action="breaker.mode").data == {"service": SERVICE, "mode": "open"}


# --- fallbacks


def models(base_url: str, first: str, second: str = "fast") -> ChatModel:
    """A model that does what `first` says, with a fallback that does what `second` says."""
    fallback = make_model(base_url=f"{base_url}/", model_name=second, label="Second")
    address = DOWN if first == "down" else base_url
    return make_model(base_url=address, model_name=first, label="First", fallback=fallback)


async def answered(model: ChatModel, text: str = "Hello", seconds: float = 20) -> Generation:
    """Ask a model, and wait for the end."""

    def ask() -> uuid.UUID:
        user = make_user(f"user-{uuid.uuid4().hex[:8]}")
        return turns.start(user, text=text, model=model, request_key=uuid.uuid4()).generation.pk

    pk = await reader.call(ask)
    rows = Generation.objects.select_related("model", "instead_of", "message")
    async with asyncio.timeout(seconds):
        while (row := await rows.aget(pk=pk)).is_active:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    return row


@pytest.mark.parametrize("first", ["503", "500-html", "down"])
async def test_a_fallback_answers_and_is_named(process, provider_server, first):
    model = await reader.call(models, provider_server.base_url, first)
    row = await answered(model)
    assert (row.status, row.model.label, row.instead_of.label, row.model_name) == (
        "completed",
        "Second",
        "First",
        "fast",
    )
    view = await reader.call(single, row.message)
    assert view.model_label == "Second"
    assert view.notice == "First did not answer; Second answered instead."
    assert view.notice_kind == "info"


async def test_no_fallback_after_the_first_word(process, provider_server):
    model = await reader.call(models, provider_server.base_url, "cut-3")
    row = await answered(model)
    assert (row.status, row.model.label, row.instead_of) == ("interrupted", "First", None)
    assert len(provider_server.answers) == 1


async def test_no_fallback_for_what_the_user_has_to_mend(process, provider_server):
    model = await reader.call(models, provider_server.base_url, "401")
    row = await answered(model)
    assert (row.status, row.model.label, row.error_code) == ("failed", "First", "unauthorized")


async def test_an_open_breaker_leads_to_the_fallback_without_asking(process, provider_server):
    model = await reader.call(models, provider_server.base_url, "silence")
    await Breaker.objects.acreate(base_url=provider_server.base_url, mode="open")
    row = await answered(model)
    assert (row.status, row.model.label, row.instead_of.label) == ("completed", "Second", "First")
    assert {request.scenario for request in provider_server.answers} == {"fast"}


async def test_an_open_breaker_without_a_fallback_fails_fast(process, settings):
    model = await reader.call(lambda: make_model(base_url=DOWN, model_name="x"))
    await Breaker.objects.acreate(base_url=DOWN, mode="open")
    row = await answered(model)
    assert (row.status, row.error_code) == ("failed", "unavailable")
    generation = await reader.call(
        lambda: make_turn(make_conversation(make_user("u"), model=model), answer="", epoch=1)
    )
    times = []
    for _ in range(20):
        started = time.monotonic()
        with pytest.raises(ProviderError):
            async for _event in routes.ask(generation, None, fresh=True, may_have=moderation.may_have):
                pass
        times.append(time.monotonic() - started)
    assert sorted(times)[10] < 0.01


async def test_five_answers_of_a_dead_service_open_its_breaker(process):
    model = await reader.call(lambda: make_model(base_url=DOWN, model_name="x"))
    codes = [(await answered(model)).error_code for _ in range(6)]
    assert codes == ["unreachable"] * 5 + ["unavailable"]


async def test_fallbacks_in_a_circle_end(process):
    def circle() -> ChatModel:
        first = make_model(base_url=DOWN, model_name="x")
        second = make_model(base_url=f"{DOWN}/", model_name="y", fallback=first)
        ChatModel.objects.filter(pk=first.pk).update(fallback=second)
        first.refresh_from_db()
        return first

    row = await answered(await reader.call(circle))
    assert (row.status, row.error_code) == ("failed", "unreachable")


async def test_a_taken_over_answer_that_is_visible_stays_with_its_model(process, provider_server):
    def leave() -> uuid.UUID:
        model = models(provider_server.base_url, "503")
        ChatModel.objects.filter(pk=model.pk).update(prefill="assistant")
        model.refresh_from_db()
        generation = make_turn(make_conversation(make_user("ada"), model=model), answer="", status="queued", epoch=1)
        Delta.objects.create(generation=generation, seq=0, kind="text", text="Half a", at_ms=1)
        past = timezone.now() - timedelta(seconds=1)
        Generation.objects.filter(pk=generation.pk).update(
            status="in_progress", lease_expires_at=past, started_at=past, epoch=F("epoch") + 1
        )
        return generation.pk

    from conversations import runner

    pk = await reader.call(leave)
    await runner.run(pk)
    async with asyncio.timeout(20):
        while (row := await Generation.objects.select_related("model").aget(pk=pk)).is_active:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    assert (row.status, row.model.label, row.error_code) == ("interrupted", "First", "overloaded")


def bind_rule(model: ChatModel, **fields: str) -> FilterRule:
    """A rule for what this one model is asked."""
    rule = FilterRule.objects.create(name="bound", direction="input", enabled=True, **fields)
    rule.chat_models.add(model)
    filtering.rules.forget()
    return rule


@pytest.mark.parametrize("why", ["503", "open", "out of service"])
async def test_a_fallback_is_not_asked_what_its_own_rule_blocks(process, provider_server, why):
    scenario = "503" if why == "503" else "fast"
    first = await reader.call(models, provider_server.base_url, scenario, "burst-10")
    rule = await reader.call(
        lambda: bind_rule(first.fallback, kind="words", source="falcon", action="block", sentence="Not abroad.")
    )
    if why == "open":
        await Breaker.objects.acreate(base_url=provider_server.base_url, mode="open")
    if why == "out of service":
        await ChatModel.objects.filter(pk=first.pk).aupdate(out_of_service_message="Gone fishing.")
        await reader.call(first.refresh_from_db)
    row = await answered(first, "Where is the falcon?")
    filtering.rules.forget()
    assert (row.status, row.model.label, row.instead_of) == ("failed", "First", None)
    assert row.error_code == {"503": "overloaded", "open": "unavailable", "out of service": "out_of_service"}[why]
    assert {request.scenario for request in provider_server.answers} == ({"503"} if why == "503" else set())
    entry = await AuditEntry.objects.aget(action="filter.blocked")
    assert (entry.generation_id, entry.data["rule"]) == (row.pk, rule.pk)


async def test_a_fallback_behind_one_that_may_not_answers(process, provider_server):
    def three() -> ChatModel:
        second = make_model(f"{provider_server.base_url}/", "burst-10", label="Second", fallback=make_model())
        bind_rule(second, kind="words", source="falcon", action="block")
        Breaker.objects.create(base_url=second.base_url, is_open=True, retry_at=timezone.now(), trips=1)
        return make_model(DOWN, "x", label="First", fallback=second)

    row = await answered(await reader.call(three), "Where is the falcon?")
    filtering.rules.forget()
    assert (row.status, row.model.label, row.instead_of.label) == ("completed", "Demo", "First")
    assert provider_server.answers == []
    async with asyncio.timeout(5):  # who was not asked is no probe
        while await reader.call(admit, f"{provider_server.base_url}/") is not Permit.PROBE:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)


async def test_a_moderation_service_of_a_fallback_is_asked_before_it(process, provider_server):
    first = await reader.call(models, provider_server.base_url, "503", "burst-10")
    service = {"kind": "service", "action": "block", "base_url": provider_server.base_url, "on_failure": "closed"}
    await reader.call(lambda: bind_rule(first.fallback, **service))
    row = await answered(first, "This is forbidden.")
    filtering.rules.forget()
    assert (row.status, row.model.label, row.error_code) == ("failed", "First", "overloaded")
    assert provider_server.moderated == ["This is forbidden."]
    assert {request.scenario for request in provider_server.answers} == {"503"}


# --- out of service


@pytest.mark.django_db(transaction=True)
def test_a_model_out_of_service_says_its_message_and_keeps_the_text(client, user, ending_process):
    model = make_model(base_url=DOWN, model_name="x", out_of_service_message="Back on Monday <soon>.")
    client.force_login(user)
    response = client.post("/c/", {"text": "My text", "model": model.pk})
    assert response.status_code == 503
    assert "Back on Monday &lt;soon&gt;." in response.content.decode()
    assert "My text</textarea>" in response.content.decode()
    assert not Generation.objects.exists()
    model.fallback = make_model()
    model.save()
    assert client.post("/c/", {"text": "My text", "model": model.pk}).status_code == 302


async def test_the_fallback_of_a_model_out_of_service_answers(process, provider_server):
    model = await reader.call(models, provider_server.base_url, "silence")
    await ChatModel.objects.filter(pk=model.pk).aupdate(out_of_service_message="Gone fishing.")
    await reader.call(model.refresh_from_db)
    row = await answered(model)
    assert (row.status, row.model.label, row.instead_of.label) == ("completed", "Second", "First")

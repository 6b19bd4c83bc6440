"""Moderation by a real service on a socket: questions before they are sent, answers before or beside the journal."""

from __future__ import annotations

import asyncio
import time

import pytest

from conversations import runner
from conversations.models import AuditEntry, Delta, FilterRule, Flag, Generation
from conversations.providers import close_clients, moderation
from conversations.providers.base import Endpoint, ProviderError
from conversations.threads import reader
from tests import provider_fixtures
from tests.test_filtering import answered, make_rule, queued, text_of
from tests.test_filtering import threads as threads  # noqa: PLC0414 - the fixture

provider_server_process = provider_fixtures.provider_server_process
provider_server = provider_fixtures.provider_server

GOOD = "The lake is calm today, and the boats lie at the pier. Nobody is in a hurry, and nothing happens at all. "
BAD = "Then comes what is forbidden here by everybody. "


@pytest.fixture(autouse=True)
def _forgetful():
    moderation._failures.clear()
    yield
    moderation._failures.clear()


async def service(server, action: str = "block", model: str = "strict", **fields) -> FilterRule:
    values = {"base_url": server.base_url, "model_name": model, "timeout_seconds": 0.5, **fields}
    return await reader.call(lambda: make_rule("service", action=action, **values))


async def test_an_answer_is_judged_in_sentences_before_it_is_visible(threads, provider_server):
    await service(provider_server, sentence="Not here.")
    row = await answered(await reader.call(queued, provider_server, GOOD * 8 + BAD + GOOD, "[[scenario=say-9]]"))
    assert (row.status, row.finish_reason, row.error_message) == ("completed", "content_filter", "Not here.")
    shown = text_of(row)
    assert len(shown) >= 400
    assert (GOOD * 8).startswith(shown)
    assert "forbidden" not in shown
    assert len(provider_server.moderated) >= 2
    assert not any("forbidden" in text for text in provider_server.moderated[:-1])
    assert await AuditEntry.objects.filter(action="filter.blocked", generation_id=row.pk).aexists()


async def test_an_answer_that_passes_is_complete(threads, provider_server):
    await service(provider_server)
    text = GOOD * 5 + "and so on"
    row = await answered(await reader.call(queued, provider_server, text, "[[scenario=say-9]]"))
    assert (row.status, row.finish_reason, text_of(row)) == ("completed", "stop", text)


async def test_half_a_sentence_is_judged_when_the_provider_pauses(threads, provider_server):
    await service(provider_server)
    generation = await reader.call(queued, provider_server, "Half a sen", "[[then=stall]]")
    running = asyncio.create_task(runner.run(generation.pk))
    async with asyncio.timeout(4):
        while not await Delta.objects.filter(generation=generation, text="Half a sen").aexists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await reader.call(Generation.request_stop, Generation.objects.filter(pk=generation.pk))
    await running


async def test_what_arrived_before_a_break_is_judged_and_kept(threads, provider_server):
    await service(provider_server)
    row = await answered(await reader.call(queued, provider_server, GOOD, "[[then=cut]] [[scenario=say-9]]"))
    assert (row.status, text_of(row)) == ("interrupted", GOOD)


@pytest.mark.parametrize("model", ["silent", "broken", "odd"])
@pytest.mark.parametrize(("on_failure", "passes"), [("open", True), ("closed", False)])
@pytest.mark.usefixtures("threads")
async def test_a_service_that_fails_lets_pass_or_blocks_as_the_rule_says(
    provider_server, caplog, model, on_failure, passes
):
    await service(provider_server, model=model, on_failure=on_failure)
    row = await answered(await reader.call(queued, provider_server, GOOD))
    assert (text_of(row) == GOOD) is passes
    assert row.finish_reason == ("stop" if passes else "content_filter")
    assert "does not answer" in caplog.text
    assert "echoed-by-the-provider" not in caplog.text


async def test_a_service_that_keeps_failing_is_left_alone_for_a_while(threads, provider_server):
    endpoint = Endpoint(provider_server.base_url, "", "broken")
    for _ in range(moderation.REST_AFTER):
        with pytest.raises(ProviderError):
            await moderation.moderate(endpoint, "x", seconds=1)
    asked = len(provider_server.moderated)
    with pytest.raises(ProviderError, match="left alone"):
        await moderation.moderate(endpoint, "x", seconds=1)
    assert len(provider_server.moderated) == asked == moderation.REST_AFTER
    await close_clients()


async def test_categories_narrow_down_what_counts(threads, provider_server):
    endpoint = Endpoint(provider_server.base_url, "", "strict")
    every = await moderation.moderate(endpoint, "forbidden", seconds=1)
    assert (every.flagged, every.categories) == (True, ("violence",))
    assert not (await moderation.moderate(endpoint, "forbidden", seconds=1, categories=["harassment"])).flagged
    assert (await moderation.moderate(endpoint, "forbidden", seconds=1, categories=["violence"])).flagged
    assert not (await moderation.moderate(endpoint, "allowed", seconds=1)).flagged
    await close_clients()


async def test_a_flag_is_raised_beside_the_answer_which_waits_for_nobody(threads, provider_server):
    await service(provider_server, action="flag", model="silent", timeout_seconds=3)
    started = time.monotonic()
    generation = await reader.call(queued, provider_server, GOOD)
    assert await runner.run(generation.pk)
    assert time.monotonic() - started < 2
    row = await Generation.objects.aget(pk=generation.pk)
    assert text_of(row) == GOOD


async def test_a_flagged_answer_is_complete_and_named_for_review(threads, provider_server):
    await service(provider_server, action="flag")
    row = await answered(await reader.call(queued, provider_server, GOOD + BAD, "[[scenario=say-9]]"))
    assert text_of(row) == GOOD + BAD
    flag = await Flag.objects.aget()
    assert (flag.message_id, flag.source) == (row.message_id, "rule")
    assert flag.reason.endswith(": violence")


async def test_a_question_is_judged_before_the_provider_is_asked(threads, provider_server):
    await service(provider_server, direction="input")
    row = await answered(await reader.call(queued, provider_server, "No", "this is forbidden"))
    assert (row.finish_reason, row.error_code, row.output) == ("content_filter", "not_sent", [])
    assert provider_server.answers == []
    good = await answered(await reader.call(queued, provider_server, "Yes", "this is allowed"))
    assert text_of(good) == "Yes"


async def test_a_question_is_flagged_and_sent(threads, provider_server):
    await service(provider_server, action="flag", direction="input")
    row = await answered(await reader.call(queued, provider_server, "Yes", "this is forbidden"))
    assert text_of(row) == "Yes"
    flag = await Flag.objects.aget()
    assert flag.message_id == row.message.parent_id
    assert "forbidden" not in flag.reason


async def test_a_stop_does_not_wait_for_the_service(threads, provider_server):
    await service(provider_server, model="silent", timeout_seconds=20)
    generation = await reader.call(queued, provider_server, GOOD, "[[then=stall]]")
    running = asyncio.create_task(runner.run(generation.pk))
    await asyncio.to_thread(provider_server.wait_answers, 1)
    await asyncio.sleep(0.2)
    started = time.monotonic()
    await reader.call(Generation.request_stop, Generation.objects.filter(pk=generation.pk))
    await running
    assert time.monotonic() - started < 3
    row = await Generation.objects.aget(pk=generation.pk)
    assert (row.status, row.output) == ("stopped", [])


async def test_the_key_of_a_service_comes_from_the_environment(threads, provider_server, monkeypatch):
    monkeypatch.setenv("MODERATION_API_KEY", "key-of-moderation")
    await service(provider_server, api_key_variable="MODERATION_API_KEY")
    await answered(await reader.call(queued, provider_server, GOOD))
    request = next(one for one in provider_server.requests if one.path == "/v1/moderations")
    assert request.headers["authorization"] == "Bearer key-of-moderation"

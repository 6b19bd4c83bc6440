"""The model's window, tokens, the cost of answers, and what of all that reaches a provider."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from conversations import turns
from conversations.asking.budget import fit
from conversations.asking.context import plan_for
from conversations.asking.parameters import BadParameter, checked, usable
from conversations.generating.costs import cost_of
from conversations.models import Generation
from conversations.providers.errors import told_window
from conversations.providers.tokens import estimate, estimate_image
from conversations.reading.usage import facts_of, meter, used_tokens
from conversations.threads import reader
from tests.factories import make_conversation, make_model, make_turn, make_user, picture
from tests.provider_server import ProviderServer
from tests.test_attachments import file


def url(name: str, *args) -> str:
    return reverse(f"conversations:{name}", args=args)


# Tokens, windows, costs, parameters


def test_estimates_count_bytes_so_that_other_scripts_cost_more():
    assert [estimate(text) for text in ("", "a" * 35, "語" * 35)] == [0, 10, 30]
    assert estimate_image(100, 100) < estimate_image(600, 500) < estimate_image(2000, 2000)


def test_the_oldest_whole_turns_stay_behind_and_the_newest_question_goes():
    sizes = [(True, 100), (False, 100), (True, 100), (False, 100), (True, 100)]
    assert fit(sizes, fixed=0, window=4000).omitted == 0
    assert fit(sizes, fixed=0, window=400) == fit(sizes, fixed=0, window=440)
    fitted = fit(sizes, fixed=0, window=440)  # a quarter is kept for the answer
    assert (fitted.omitted, fitted.tokens, fitted.fits) == (2, 300, True)
    alone = fit(sizes, fixed=50, window=160)
    assert (alone.omitted, alone.tokens, alone.fits) == (4, 150, False)


def test_the_room_for_the_answer_follows_what_is_wanted_of_it():
    sizes = [(True, 100), (False, 100), (True, 100)]
    assert fit(sizes, fixed=0, window=1000, wanted=10).omitted == 0
    assert fit(sizes, fixed=0, window=500, wanted=10_000).omitted == 2


@pytest.mark.parametrize(
    ("tokens", "prices", "cost"),
    [
        ((1_000_000, 0), (Decimal("2.5"), Decimal(10)), Decimal("2.5")),
        ((100, 10), (Decimal(1), None), Decimal("0.0001")),
        ((100, 10), (None, None), None),
        ((2**31, 2**31), (Decimal(999_999), Decimal(999_999)), Decimal(99_999_999)),
    ],
)
def test_the_cost_is_by_the_prices_and_always_storable(tokens, prices, cost):
    assert cost_of(*tokens, *prices) == cost


def test_parameters_outside_their_ranges_and_unknown_ones_are_refused():
    assert checked({"temperature": 1, "max_tokens": 5.0, "top_p": ""}) == {"temperature": 1.0, "max_tokens": 5}
    bad = [{"temperature": 2.1}, {"temperature": float("nan")}, {"max_tokens": 1.5}, {"top_p": True}, {"tools": []}]
    for values in [*bad, {"reasoning_effort": "utmost"}, {"temperature": "warm"}]:
        with pytest.raises(BadParameter):
            checked(values)
    assert usable({"tools": [], "temperature": 0.5, "stream": False}) == {"temperature": 0.5}


@pytest.mark.parametrize(
    ("words", "tokens"),
    [
        ("this model's maximum context length is 8192 tokens", 8192),
        ("exceeds the available context size (4096 tokens)", 4096),
        ("maximum context length is 10", None),
        ("no number", None),
    ],
)
def test_the_window_that_a_service_tells_is_read(words, tokens):
    assert told_window(words) == tokens


# The window of a conversation


def test_the_plan_leaves_out_the_oldest_and_keeps_the_system_prompt(user):
    model = make_model("http://127.0.0.1:1/v1", "small", context_window=1000)
    conversation = make_conversation(user, model=model, system_prompt="Be brief.", parameters={"max_tokens": 400})
    for number in range(4):
        make_turn(conversation, f"Question {number} " + "x" * 500, "y" * 500)
    newest = make_turn(conversation, "Last question", "", status="queued", finish_reason="")
    plan = plan_for(newest)
    assert plan.fits
    assert plan.omitted == 6
    assert [message.role for message in plan.request.messages] == ["system", "user", "assistant", "user"]
    assert plan.request.messages[-1].content == "Last question"
    assert plan.input_tokens + int(plan.request.parameters["max_tokens"]) <= 1000
    assert plan_for(newest, window=300).omitted == 8


def test_the_meter_takes_the_providers_count_and_else_estimates(user, django_assert_max_num_queries):
    conversation = make_conversation(user, model=make_model(context_window=1000))
    make_turn(conversation, "Why?", "y" * 350)
    assert used_tokens(conversation, sees=True) == estimate("Why?") + 4 + 100 + 4
    make_turn(conversation, "And?", "y" * 350, input_tokens=600, output_tokens=90)
    with django_assert_max_num_queries(2):
        shown = meter(conversation, conversation.model)
    assert (shown.used, shown.left, shown.percent, shown.level) == (700, 300, 70, "near")
    make_turn(conversation, "z" * 350, "", status="in_progress", finish_reason="")
    shown = meter(conversation, conversation.model)
    assert (shown.used, shown.level) == (700 + 104 + 4, "full")


def test_the_page_marks_where_the_window_begins(owner_client, user):
    conversation = make_conversation(user)
    first = make_turn(conversation).message
    make_turn(conversation, omitted_messages=2)
    page = owner_client.get(url("conversation", conversation.pk)).content.decode()
    assert page.count('id="window-line"') == 1
    assert (
        page.index(f'id="m-{first.pk.hex}') < page.index('id="window-line"')
        if f'id="m-{first.pk.hex}' in page
        else True
    )
    fragment = owner_client.get(url("window", conversation.pk)).content.decode()
    assert f'data-begins="{_dom_id(conversation.active_leaf.parent_id)}"' in fragment


def _dom_id(pk: uuid.UUID) -> str:
    from conversations.live.state import dom_id

    return dom_id(pk)


def test_facts_of_an_answer_are_shown(owner_client, user):
    conversation = make_conversation(user)
    now = timezone.now()
    generation = make_turn(
        conversation,
        input_tokens=1234,
        output_tokens=56,
        cost=Decimal("0.0123"),
        time_to_first_token_ms=250,
        ended_at=now + timedelta(seconds=2),
        usage_estimated=True,
    )
    facts = facts_of([generation])
    assert (facts.input_tokens, facts.cost, facts.first_token_seconds) == (1234, "0.0123 USD", 0.25)
    page = owner_client.get(url("conversation", conversation.pk)).content.decode()
    assert "Details of this answer" in page
    assert "0.0123 USD" in page


# Over a real provider


async def answered(text: str, model, *, wait=True, **fields) -> Generation:
    def start() -> Generation:
        user = make_user(f"user-{uuid.uuid4().hex[:8]}")
        files = [turns.upload_file(user, one).pk for one in fields.pop("files", ())]
        turn = turns.start(user, text=text, model=model, request_key=uuid.uuid4(), attachments=files, **fields)
        return turn.generation

    return await ended(await reader.call(start))


async def ended(generation: Generation) -> Generation:
    async with asyncio.timeout(15):
        while True:
            row = await Generation.objects.select_related("message__conversation__owner").aget(pk=generation.pk)
            if not row.is_active:
                return row
            await asyncio.sleep(0.02)


async def served(provider: ProviderServer, **fields):
    provider.reset()
    return await reader.call(lambda: make_model(provider.base_url, "fast", **fields))


async def test_parameters_and_the_system_prompt_reach_the_provider(process, provider):
    model = await served(provider)
    settings = turns.ConversationSettings(
        "Be brief.", {"temperature": 0.3, "max_tokens": 77, "reasoning_effort": "low"}
    )
    row = await answered("Hello", model, settings=settings)
    body = provider.answers[0].body
    assert {name: body[name] for name in settings.parameters} == settings.parameters
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    again = await reader.call(lambda: turns.regenerate(row.message, request_key=uuid.uuid4()).generation)
    await ended(again)
    assert provider.answers[1].body["temperature"] == 0.3


async def test_images_and_texts_reach_a_model_that_sees(process, provider):
    model = await served(provider, sees_images=True)
    await answered("Look", model, files=[file("a.png", picture()), file("b.py", b"print(1)")])
    words, image = provider.answers[0].body["messages"][0]["content"]
    assert words["text"] == "b.py:\n```\nprint(1)\n```\n\nLook"
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


async def test_usage_and_cost_are_kept_with_the_answer(process, provider):
    model = await served(provider, input_price=Decimal(1000), output_price=Decimal(2000))
    row = await answered("Hello there [[length=40]]", model)
    assert row.cost == cost_of(row.input_tokens, row.output_tokens, Decimal(1000), Decimal(2000))
    assert row.cost > 0
    assert not row.usage_estimated


async def test_usage_that_cannot_be_true_is_estimated(process, provider):
    model = await served(provider, input_price=Decimal(1))
    row = await answered("Hello there [[scenario=usage-huge]]", model)
    assert 0 < row.input_tokens < 100
    assert row.usage_estimated
    assert row.cost is not None


async def test_a_refusal_for_length_is_answered_with_less(process, provider):
    model = await served(provider)
    first = await answered("First question " + "x" * 3000, model)

    def go_on() -> Generation:
        text = "Second question [[scenario=400-contextx1]]"
        return turns.send(first.message.conversation, text=text, model=model, request_key=uuid.uuid4()).generation

    row = await ended(await reader.call(go_on))
    assert (row.status, row.omitted_messages) == ("completed", 2)
    assert [len(request.body["messages"]) for request in provider.answers] == [1, 3, 1]


async def test_a_refusal_for_length_of_a_lone_question_is_a_sentence(process, provider):
    model = await served(provider)
    row = await answered("A question [[scenario=400-context]]", model)
    assert (row.status, row.error_code) == ("failed", "context_too_long")
    assert len(provider.answers) == 1

"""Titles that a model finds: how many are asked for at once."""

from __future__ import annotations

import asyncio

from conversations import runner
from conversations.asking import titles
from conversations.models import Conversation, Generation
from conversations.threads import reader, writer
from tests.factories import make_conversation, make_model, make_turn, make_user

WAITING = 4


async def test_a_slow_service_is_asked_for_a_bounded_number_of_titles_at_once(transactional_db, provider):
    def first_answers() -> list[Generation]:
        owner, model = make_user("ada"), make_model(provider.base_url, "fast")
        conversations = [make_conversation(owner, model=model) for _ in range(titles.MOST_AT_ONCE + WAITING)]
        return [make_turn(conversation) for conversation in conversations]

    async def asked(count: int) -> None:
        async with asyncio.timeout(15):
            while len(provider.titles) < count:  # noqa: ASYNC110 - the server has a loop of its own
                await asyncio.sleep(0.05)

    provider.reset()
    provider.title_seconds = 3
    finding = [asyncio.create_task(titles.suggest(row.pk)) for row in await reader.call(first_answers)]
    try:
        await asked(titles.MOST_AT_ONCE)
        await asyncio.sleep(0.5)
        assert len(provider.titles) == titles.MOST_AT_ONCE
        await asked(len(finding))  # the others have their turn
        await asyncio.gather(*finding)
        assert await Conversation.objects.filter(title="A title of the provider").acount() == len(finding)
    finally:
        for task in finding:
            task.cancel()
        await asyncio.gather(*finding, return_exceptions=True)
        await runner.close()
        await reader.close()
        await writer.close()

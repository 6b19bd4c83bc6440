"""The bus over a real Redis that is stopped, restarted, frozen and flushed: nobody waits for it, and it comes back."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis

from conversations.journal import Hint, StoredDelta
from conversations.live.redis_bus import MOST_UNSENT, RedisBus, decode, encode
from tests.cluster.processes import RedisServer

GENERATION = uuid.uuid4()
OTHERWISE = '["other", [["delta", "1", "text", "a", 1]]]'  # as another version might say it


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def buses(server: RedisServer) -> AsyncIterator[tuple[RedisBus, RedisBus]]:
    """Two processes' buses."""
    pair = RedisBus(server.url), RedisBus(server.url)
    yield pair
    for bus in pair:
        await bus.close()


def delta(seq: int, text: str = "x") -> Hint:
    return Hint(GENERATION, "delta", StoredDelta(seq, "text", text, seq))


async def heard(writer: RedisBus, hints: list[Hint], say: Callable[[], list[Hint]], seconds: float = 15) -> list[Hint]:
    """Say something again and again until something is heard; return all that was."""
    async with asyncio.timeout(seconds):
        while not hints:
            writer.publish(say())
            await asyncio.sleep(0.05)
    return hints


@pytest.mark.parametrize("text", ["plain", '\u2028 é 😀 "quoted" \\ \n', ""])
def test_a_message_says_what_was_said(text):
    hints = [delta(7, text), Hint(GENERATION, "stop"), Hint(GENERATION, "ended")]
    assert decode(GENERATION, encode("me", hints)) == ("me", hints)


@pytest.mark.parametrize(
    "message", ["", "{}", "[1]", '["a", [[]]]', '["a", 3]', b"\xff", '["a", [["delta", 1]]]', OTHERWISE]
)
def test_a_strange_message_is_refused_as_such(message):
    with pytest.raises(ValueError, match="not a message of this bus"):
        decode(GENERATION, message)


async def test_hints_reach_listeners_of_other_processes_once_and_in_order(buses):
    writer, reader = buses
    own: list[Hint] = []
    hints: list[Hint] = []
    writer.listen(GENERATION, own.append)
    reader.listen(GENERATION, hints.append)
    await heard(writer, hints, lambda: [Hint(GENERATION, "waiting")])
    await asyncio.sleep(0.3)
    own.clear(), hints.clear()
    said = [delta(number) for number in range(200)]
    for hint in said:
        writer.publish([hint])
    assert own == said  # at once, without Redis
    async with asyncio.timeout(10):
        while len(hints) < 200:  # noqa: ASYNC110 - the bus tells only listeners
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert hints == said
    assert own == said


async def test_what_cannot_be_taken_makes_nobody_deaf(buses, server, caplog):
    writer, reader = buses
    hints: list[Hint] = []

    def failing(_hint: Hint) -> None:
        raise RuntimeError("cannot take it")

    reader.listen(GENERATION, failing)
    reader.listen(GENERATION, hints.append)
    await heard(writer, hints, lambda: [delta(0)])
    redis.Redis.from_url(server.url).publish(f"stillwater:{GENERATION.hex}", OTHERWISE)
    hints.clear()
    await heard(writer, hints, lambda: [delta(1)])
    assert hints[0] == delta(1)
    assert "could not take a hint" in caplog.text
    assert reader.connected


async def test_one_connection_to_hear_and_one_to_say(buses, server):
    writer, reader = buses
    ids = [uuid.uuid4() for _ in range(150)]
    hints: list[Hint] = []
    for generation_id in ids:
        reader.listen(generation_id, hints.append)
    async with asyncio.timeout(15):
        while len({hint.generation_id for hint in hints}) < 150:
            writer.publish([Hint(generation_id, "ended") for generation_id in ids])
            await asyncio.sleep(0.1)
    client = redis.Redis.from_url(server.url)
    assert len(client.client_list()) <= 2 * 2 + 1
    for generation_id in ids:
        reader.leave(generation_id, hints.append)
    async with asyncio.timeout(10):
        while len(client.pubsub_channels("stillwater:*")) > 1:  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("fault", ["restart", "freeze", "flush", "kick"])
async def test_it_comes_back_by_itself_and_nobody_waits(buses, server, fault):
    writer, reader = buses
    hints: list[Hint] = []
    reader.listen(GENERATION, hints.append)
    await heard(writer, hints, lambda: [delta(0)])
    if fault == "restart":
        server.stop()
    elif fault == "freeze":
        server.process.send_signal(signal.SIGSTOP)
    elif fault == "flush":
        redis.Redis.from_url(server.url).flushall()
    else:
        redis.Redis.from_url(server.url).execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    started = time.monotonic()
    for number in range(MOST_UNSENT + 1_000):
        writer.publish([delta(number)])
    assert time.monotonic() - started < 5
    assert len(writer._outbox) <= MOST_UNSENT
    await asyncio.sleep(2)
    if fault == "restart":
        server.start()
    elif fault == "freeze":
        server.process.send_signal(signal.SIGCONT)
    await asyncio.sleep(0.5)
    hints.clear()
    await heard(writer, hints, lambda: [delta(1)])
    other: list[Hint] = []
    reader.listen(uuid.UUID(int=5), other.append)  # subscriptions made afterwards work, too
    await heard(writer, other, lambda: [Hint(uuid.UUID(int=5), "ended")])

"""The bus between processes, over Redis pub/sub.

Each process has one connection for what it hears and one for what it says. It subscribes to the channels of those
generations that somebody here listens to. Whatever Redis does - it stops, restarts, forgets, hangs - costs those who
listen no more than their own look into the database: publishing only puts hints into a bounded outbox, and both
connections come back by themselves. Hints that could not be sent in time are dropped, not kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import logging
import os
import uuid
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from conversations.journal import Hint, StoredDelta
from conversations.live.bus import Bus, Listener

logger = logging.getLogger(__name__)

PREFIX = "stillwater:"
CONTROL = f"{PREFIX}control"  # never published to: a subscription that keeps the connection in its mode
MOST_UNSENT = 20_000  # hints
SEND_SECONDS = 1.0
ALIVE_SECONDS = 15  # how often an idle connection is tried
BACK_OFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
LOST = (RedisError, OSError, TimeoutError)


def encode(origin: str, hints: Iterable[Hint]) -> str:
    """Return hints about one generation as a message: `[origin, [[what, seq, kind, text, at_ms] | [what], …]]`."""
    items = []
    for hint in hints:
        delta = hint.delta
        items.append([hint.what] if delta is None else [hint.what, delta.seq, delta.kind, delta.text, delta.at_ms])
    return json.dumps([origin, items], ensure_ascii=False, separators=(",", ":"))


def decode(generation_id: uuid.UUID, message: str | bytes) -> tuple[str, list[Hint]]:
    """Return origin and hints of a message. Raises `ValueError` for one that is not ours."""
    try:
        origin, items = json.loads(message)
        return str(origin), [Hint(generation_id, what, _delta(*rest) if rest else None) for what, *rest in items]
    except (TypeError, ValueError) as error:
        raise ValueError("not a message of this bus") from error


def _delta(seq: int, kind: str, text: str, at_ms: int) -> StoredDelta:
    """Raises `TypeError` for what another version may say otherwise: it is compared with what is in the database."""
    if not (isinstance(seq, int) and isinstance(kind, str) and isinstance(text, str) and isinstance(at_ms, int)):
        raise TypeError("not a delta")
    return StoredDelta(seq, kind, text, at_ms)


class RedisBus(Bus):
    """Carries hints between processes."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._origin = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._outbox: deque[Hint] = deque(maxlen=MOST_UNSENT)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._connected: set[str] = set()
        self._unsent = asyncio.Event()
        self._changed = asyncio.Event()

    def publish(self, hints: Iterable[Hint]) -> None:
        self._run()
        for hint in hints:
            self.deliver(hint)
            self._outbox.append(hint)
        if self._outbox:
            self._unsent.set()

    def listen(self, generation_id: uuid.UUID, listener: Listener) -> None:
        super().listen(generation_id, listener)
        self._run()
        self._changed.set()

    def leave(self, generation_id: uuid.UUID, listener: Listener) -> None:
        super().leave(generation_id, listener)
        self._changed.set()

    @property
    def connected(self) -> bool:
        return self._connected == {"sending", "listening"}

    @property
    def unsent(self) -> int:
        return len(self._outbox)

    async def close(self) -> None:
        """Send what is left, if that is quick, and end the connections."""
        if self._outbox and self._tasks:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SEND_SECONDS / 2):
                    while self._outbox or self._unsent.is_set():  # noqa: ASYNC110 - the last moments of a process
                        await asyncio.sleep(0.01)
        tasks, self._tasks, self._loop = self._tasks, (), None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self) -> None:
        """Start the two tasks in the running event loop, unless they run there."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._unsent, self._changed = asyncio.Event(), asyncio.Event()
            self._tasks = tuple(
                loop.create_task(self._for_ever(name, work), context=contextvars.Context())
                for name, work in (("sending", self._send), ("listening", self._hear))
            )

    async def _for_ever(self, name: str, work: Callable[[Redis], Awaitable[None]]) -> None:
        """Do `work` with a connection, and again with another whenever it is lost."""
        failures = 0
        while True:
            # No retries of the client's own: whatever is sent late is of no use.
            client = Redis.from_url(
                self._url,
                socket_connect_timeout=SEND_SECONDS,
                socket_timeout=SEND_SECONDS if name == "sending" else None,
                socket_keepalive=True,
                health_check_interval=ALIVE_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
            started = asyncio.get_running_loop().time()
            try:
                await work(client)
            except LOST as error:
                if asyncio.get_running_loop().time() - started > BACK_OFF_SECONDS[-1]:
                    failures = 0
                if failures == 0:
                    logger.warning("The bus has lost Redis (%s): %s", name, error)
            except Exception:  # an end of this task would make the process deaf until its own end
                logger.exception("The bus failed (%s), and begins anew", name)
            finally:
                self._connected.discard(name)
                with contextlib.suppress(*LOST):
                    await client.aclose()
            await asyncio.sleep(BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)])
            failures += 1

    async def _send(self, client: Redis) -> None:
        self._outbox.clear()  # what could not be sent while the connection was away
        await client.ping()
        self._connected.add("sending")
        while True:
            await self._unsent.wait()
            self._unsent.clear()
            messages: defaultdict[uuid.UUID, list[Hint]] = defaultdict(list)
            while self._outbox:
                hint = self._outbox.popleft()
                messages[hint.generation_id].append(hint)
            pipeline = client.pipeline(transaction=False)
            for generation_id, hints in messages.items():
                pipeline.publish(_channel(generation_id), encode(self._origin, hints))
            await pipeline.execute()

    async def _hear(self, client: Redis) -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(CONTROL)
            self._connected.add("listening")
            subscribing = asyncio.ensure_future(self._subscribe(pubsub))
            try:
                while not subscribing.done():
                    message = await pubsub.get_message(timeout=ALIVE_SECONDS)
                    if message is not None:
                        self._take(message)
                subscribing.result()
            finally:
                subscribing.cancel()
                await asyncio.gather(subscribing, return_exceptions=True)

    async def _subscribe(self, pubsub: PubSub) -> None:
        """Keep the subscriptions equal to what is listened to."""
        current: set[uuid.UUID] = set()
        while True:
            self._changed.clear()
            wanted = set(self._listeners)
            if fresh := wanted - current:
                await pubsub.subscribe(*map(_channel, fresh))
            if stale := current - wanted:
                await pubsub.unsubscribe(*map(_channel, stale))
            current = wanted
            await self._changed.wait()

    def _take(self, message: dict[str, Any]) -> None:
        channel = message["channel"].decode()
        if channel == CONTROL:
            return
        try:
            origin, hints = decode(uuid.UUID(channel.removeprefix(PREFIX)), message["data"])
        except ValueError as error:
            logger.warning("The bus passes over a message: %s", error)
            return
        if origin != self._origin:  # its own were delivered when they were sent
            for hint in hints:
                self.deliver(hint)


def _channel(generation_id: uuid.UUID) -> str:
    return f"{PREFIX}{generation_id.hex}"

"""The protocol of Chat Completions from the server's side, byte by byte."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

_DIRECTIVE = re.compile(r"\[\[(\w+)=([\w.*-]+)\]\]")
_STOCK = """still water runs deep and the lake keeps its level while the rain falls on **stone** roofs `pipes` wells
naïve façades Zürich 日本語 😀 streams bridges mills * reeds"""
_WORDS = _STOCK.split()

SECRET_ECHO = "<b>sk-echoed-by-the-provider</b>"  # stands in every error body; must never reach a user


def text_of(seed: int | str, length: int) -> list[str]:
    """The tokens of an answer: words with a space, a new paragraph now and then; repeatable."""
    source = random.Random(str(seed))
    return [source.choice(_WORDS) + ("\n\n" if source.random() < 0.05 else " ") for _ in range(length)]


def directives(body: dict[str, Any]) -> dict[str, str]:
    return dict(_DIRECTIVE.findall(last_user(body)))


def last_user(body: dict[str, Any]) -> str:
    messages = [m for m in body.get("messages", []) if m.get("role") == "user" and not is_plea(m)]
    return str(messages[-1]["content"]) if messages else ""


def is_plea(message: dict[str, Any]) -> bool:
    return str(message.get("content", "")).startswith("Your last message was cut off")


class Exchange:
    """One request being answered: writes HTTP by hand, so that it can be wrong."""

    def __init__(self, writer: asyncio.StreamWriter, gone: asyncio.Event, body: dict[str, Any]) -> None:
        self.body = body
        self.reusable = False
        self.said = ""
        self.gone = gone
        self._writer = writer
        self.directives = directives(body)
        self.length = int(self.directives.get("length", 40))
        messages = body.get("messages", [])
        self.is_title = any(m["role"] == "system" and "title" in str(m["content"]).lower() for m in messages)
        self.prompt_tokens = sum(len(str(message["content"]).split()) for message in messages)

    @property
    def partial(self) -> str:
        """What the assistant has said already, if the conversation ends in that."""
        said = [m for m in self.body.get("messages", []) if not is_plea(m)]
        return str(said[-1]["content"]) if said and said[-1]["role"] == "assistant" else ""

    @property
    def tokens(self) -> list[str]:
        """The answer; only what is missing of it if the conversation ends in a part of it."""
        seed = self.directives.get("seed") or zlib.crc32(last_user(self.body).encode())
        tokens = text_of(seed, self.length)
        partial = self.partial
        return ["".join(tokens)[len(partial) :]] if partial and "".join(tokens).startswith(partial) else tokens

    async def start(self, status_code: int = 200, content_type: str = "text/event-stream", extra: str = "") -> None:
        head = f"HTTP/1.1 {status_code} X\r\nContent-Type: {content_type}\r\n{extra}Transfer-Encoding: chunked\r\n\r\n"
        self._writer.write(head.encode())
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        """One chunk of the body, sent at once."""
        self._writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self._writer.drain()

    async def event(self, value: object) -> None:
        await self.send(event_bytes(value))

    async def delta(self, text: str, **fields: object) -> None:
        await self.event(chunk({"content": text, **fields}, model=f"{self.body.get('model')}-2026"))

    async def finish(self, reason: str = "stop", output_tokens: int = 40) -> None:
        """The finish_reason, usage if it was asked for, and [DONE]."""
        data = event_bytes(chunk({}, reason))
        if self.body.get("stream_options", {}).get("include_usage"):
            data += event_bytes({"choices": [], "usage": usage(self.prompt_tokens, output_tokens)})
        await self.send(data + b"data: [DONE]\n\n")
        await self.end()

    async def end(self) -> None:
        """The proper end of the body."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        self.reusable = True

    async def whole_stream(self, tokens: list[str]) -> None:
        """Everything at once."""
        await self.start()
        await self.send(b"".join(event_bytes(chunk({"content": token})) for token in tokens))
        await self.finish(output_tokens=len(tokens))

    async def json(self, status_code: int, value: object, extra: str = "") -> None:
        data = json.dumps(value).encode()
        head = (
            f"HTTP/1.1 {status_code} X\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(data)}\r\n\r\n"
        )
        self._writer.write(head.encode() + data)
        await self._writer.drain()
        self.reusable = True

    def reset_connection(self) -> None:
        """RST instead of FIN."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()


def chunk(delta: dict[str, object], reason: str | None = None, model: str = "") -> dict[str, Any]:
    """A `chat.completion.chunk`."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    named = {"model": model} if model else {}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, **named, "choices": [choice]}


def event_bytes(value: object) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def usage(input_tokens: int, output_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": 0}


Scenario = Callable[[Exchange, str], Awaitable[None]]  # the string is what stands behind the name's hyphen

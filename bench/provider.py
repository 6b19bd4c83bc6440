"""A paced model for benchmarks: `python -m bench.provider --port 9000 --rate 50 --tokens 1000`.

It speaks just enough of Chat Completions. Each token is the moment it was sent, in microseconds of the system's
monotonic clock, in base 36 behind a `q`: whoever sees it on the same machine knows how long it took. Paragraphs, lists
and code come in between, so that rendering has something to do; with `--plain` only paragraphs, of which nothing but
half a word is ever held back, so that the delay is that of the machinery.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
BREAKS = ("\n\n", "\n\n## Heading\n\n", "\n- item ", "\n\n> quoted ", "\n\n```python\n", "\n```\n\n")


def stamp() -> str:
    """Return the time as a word."""
    number, word = time.monotonic_ns() // 1000, ""
    while number:
        number, digit = divmod(number, 36)
        word = DIGITS[digit] + word
    return f"q{word} "


def moment(word: str) -> float:
    """Return the seconds that a stamp stands for."""
    return int(word[1:], 36) / 1e6


def chunk(content: str, finish_reason: str | None = None) -> bytes:
    """Return one message of the stream, as an HTTP chunk."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    data = f"data: {json.dumps({'model': 'paced', 'choices': [choice]})}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float, tokens: int, breaks: tuple[str, ...]
) -> None:
    """Answer requests on one connection until it closes."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            body = await reader.readexactly(length)
            if head.startswith(b"GET"):
                listing = b'{"object": "list", "data": [{"id": "paced", "object": "model"}]}'
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(listing)
                )
                writer.write(listing)
                continue
            short = b"Write a title" in body
            await _stream(writer, rate, 3 if short else tokens, breaks)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def _stream(writer: asyncio.StreamWriter, rate: float, tokens: int, breaks: tuple[str, ...]) -> None:
    writer.write(HEAD)
    started = time.monotonic()
    for number in range(tokens):
        pause = breaks[number // 40 % len(breaks)] if number % 40 == 39 else ""
        writer.write(chunk(pause + stamp()))
        await writer.drain()
        if rate:
            await asyncio.sleep(max(0.0, started + (number + 1) / rate - time.monotonic()))
    writer.write(chunk("", "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    await writer.drain()


async def serve(port: int, rate: float, tokens: int, plain: bool) -> None:
    """Serve until the process ends."""
    breaks = BREAKS[:1] if plain else BREAKS
    server = await asyncio.start_server(
        lambda r, w: answer(r, w, rate, tokens, breaks), "127.0.0.1", port, backlog=1024
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=50, help="tokens a second; 0: at once")
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--plain", action="store_true", help="paragraphs only")
    options = parser.parse_args()
    asyncio.run(serve(**vars(options)))

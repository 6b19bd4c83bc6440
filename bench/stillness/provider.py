"""A model that recites: it answers `recite NAME` with a document of the corpus, in pieces of four characters.

`python -m bench.stillness.provider --port 9000 --pause 0.02`; `recite NAME 8` gives the document eight times over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re

from bench.corpus import documents
from bench.provider import HEAD, chunk

PIECE = 4  # characters


def document(name: str, times: int = 1) -> str:
    """Return a document of the corpus, so many times over."""
    return "\n\n".join([documents()[name].strip()] * times)


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause: float) -> None:
    """Answer requests on one connection until it closes."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            if head.startswith(b"GET"):
                _list_models(writer)
            else:
                await _recite(writer, json.loads(body), pause)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _list_models(writer: asyncio.StreamWriter) -> None:
    listing = b'{"object": "list", "data": [{"id": "reciter", "object": "model"}]}'
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(listing))
    writer.write(listing)


async def _recite(writer: asyncio.StreamWriter, request: dict[str, list[dict[str, str]]], pause: float) -> None:
    asked = re.fullmatch(r"recite (\S+) (\d+)", request["messages"][-1]["content"])
    text = document(asked[1], int(asked[2])) if asked else "A title"
    writer.write(HEAD)
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number, begin in enumerate(range(0, len(text), PIECE), start=1):
        writer.write(chunk(text[begin : begin + PIECE]))
        await writer.drain()
        await asyncio.sleep(max(0.0, started + number * pause - loop.time()))
    writer.write(chunk("", "stop") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    await writer.drain()


async def main() -> None:
    """Serve until the process ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pause", type=float, default=0.02)
    options = parser.parse_args()
    server = await asyncio.start_server(
        lambda reader, writer: serve_connection(reader, writer, options.pause), "127.0.0.1", options.port
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

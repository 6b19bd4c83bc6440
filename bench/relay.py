"""The least a server can do with a stream: pass a provider's bytes on. What Stillwater is measured beside.

Nothing is stored, rendered or checked. Served by Daphne, as Stillwater is: `daphne bench.relay:application`, with the
provider's address in `RELAY_URL`.
"""

from __future__ import annotations

import os
from typing import Any

import httpx2

client = httpx2.AsyncClient(timeout=None, limits=httpx2.Limits(max_connections=2000))


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ARG001 - the names are ASGI's
    """Answer any request with the provider's stream."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    body = {"model": "paced", "stream": True, "messages": []}
    async with client.stream("POST", f"{os.environ['RELAY_URL']}/chat/completions", json=body) as response:
        async for data in response.aiter_raw():
            await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b""})

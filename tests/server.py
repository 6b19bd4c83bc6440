"""A real Stillwater process for tests: `manage.py serve` on a free port with data of its own, and clients that record.

A `Client` is a browser without an engine: it keeps cookies, posts forms and reads streams byte by byte.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
import uuid
from html import unescape
from pathlib import Path
from typing import Self

import httpx2

from tests import prepared
from tests.process import Process, manage

STREAM_URL = re.compile(r'hx-sse:connect="([^"]+)"')
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server(Process):
    """One server process; `kill` and `start` again to see what survives. `asgi` is daphne or uvicorn."""

    def __init__(self, data_dir: Path, asgi: str = "daphne", **environment: str) -> None:
        self.asgi = asgi
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COV_")},
            "DATA_DIR": str(data_dir),
            "DATABASE_URL": f"sqlite:///{data_dir / 'db.sqlite3'}",
            "PORT": str(self.port),
            "ENV_FILE": str(data_dir / "none.env"),
            "OLLAMA_URL": "",
            "OPENAI_BASE_URL": "",
            "OPENAI_API_KEY": "",
            # One user of a test does the work of many.
            "LIMIT_REQUESTS_PER_MINUTE": "0",
            "LIMIT_GENERATIONS": "0",
            "LIMIT_STREAMS": "0",
            **environment,
        }
        super().__init__(data_dir / f"server-{self.port}.log", environment)
        self.link = ""

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def manage(self, *arguments: str) -> str:
        return manage(self.environment, *arguments)

    def prepare(self) -> None:
        """Migrate, and collect static files."""
        data_dir = Path(self.environment["DATA_DIR"])
        prepared.copy_static(data_dir)
        if self.environment["DATABASE_URL"] == f"sqlite:///{data_dir / prepared.SQLITE}":
            prepared.copy_sqlite(data_dir)
        else:
            self.manage("migrate", "--verbosity", "0")

    def new_link(self) -> str:
        """A link that signs the owner in once."""
        return f"{self.url}{self.manage('prepare').split('Owner: ')[1].strip()}"

    def command(self) -> list[str]:
        if self.asgi == "daphne":
            return [sys.executable, "manage.py", "serve"]
        options = ["--http=chatapp.uvicorn:PatientProtocol", f"--port={self.port}", "--no-access-log"]
        return [sys.executable, "-m", "uvicorn", "chatapp.asgi:application", *options]

    def works(self, said: str) -> bool:
        return self._answers() and self._find_link(said)

    def _find_link(self, text: str) -> bool:
        if self.asgi != "daphne":  # only `manage.py serve` prints one; `Client` makes its own
            return True
        found = re.search(r"http\S+/sign-in/\S+", text)
        self.link = found[0] if found else ""
        return bool(self.link)

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    def memory_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


class Client:
    """Somebody signed in."""

    def __init__(self, server: Server, link: str = "") -> None:
        self.server = server
        # Over HTTPS a form must say where it comes from; test certificates sign themselves.
        headers = {"Referer": f"{server.url}/"}
        self.http = httpx2.Client(base_url=server.url, follow_redirects=True, timeout=20, headers=headers, verify=False)
        page = self.http.get(link or server.link or server.new_link())
        self.token = CSRF.search(page.text)[1]

    @property
    def cookies(self) -> str:
        """The cookies as a header, for connections of one's own."""
        return "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())

    def post(self, path: str, *, htmx: bool = False, **fields: str) -> httpx2.Response:
        headers = {"HX-Request": "true"} if htmx else {}
        return self.http.post(path, data={"csrfmiddlewaretoken": self.token, **fields}, headers=headers)

    def ask(self, text: str, path: str = "/c/", **fields: str) -> httpx2.Response:
        response = self.post(path, text=text, request_key=str(uuid.uuid4()), **fields)
        assert response.status_code == 200, response.text
        return response

    def close(self) -> None:
        self.http.close()


def finished(client: Client, path: str, seconds: float = 15) -> str:
    """The page once its answer has ended."""
    until = time.monotonic() + seconds
    while True:
        page = client.http.get(path).text
        if "hx-sse:connect" not in page:
            return page
        assert time.monotonic() < until, "the answer never ended"
        time.sleep(0.1)


def stream_url(html: str) -> str:
    """The address of the stream in a page or fragment with a running answer."""
    return unescape(STREAM_URL.search(html)[1])


def visible_text(html: str) -> str:
    """What a reader sees of a piece of HTML, white space folded."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())

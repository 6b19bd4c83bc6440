"""A real Stillwater process for tests: `manage.py serve` on a free port with data of its own, and clients that record.

A `Client` is a browser without an engine: it keeps cookies, posts forms and reads streams byte by byte.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from html import unescape
from pathlib import Path

import httpx2

ROOT = Path(__file__).resolve().parent.parent
STREAM_URL = re.compile(r'hx-sse:connect="([^"]+)"')
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server process; `kill` and `start` again to see what survives."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COV_")},
            "DATA_DIR": str(data_dir),
            "DATABASE_URL": f"sqlite:///{data_dir / 'db.sqlite3'}",
            "PORT": str(self.port),
            "ENV_FILE": str(data_dir / "none.env"),
            "OLLAMA_URL": "",
            "OPENAI_BASE_URL": "",
            "OPENAI_API_KEY": "",
            **environment,
        }
        self.log = data_dir / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.link = ""

    def manage(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment, check=True, capture_output=True
        )

    def prepare(self) -> None:
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--no-input", "--verbosity", "0")

    def start(self) -> None:
        with self.log.open("ab") as log:
            mark = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        for _ in range(300):
            text = self.log.read_bytes()[mark:].decode()
            found = re.search(r"http\S+/sign-in/\S+", text)
            if found and self._answers():
                self.link = found[0]
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/accounts/login/", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    def kill(self) -> None:
        """As `kill -9`: no clean-up of any kind."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> float:
        """Ask the process to end; return how many seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        return time.monotonic() - started

    def memory_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Client:
    """Somebody signed in."""

    def __init__(self, server: Server, link: str = "") -> None:
        self.server = server
        self.http = httpx2.Client(base_url=server.url, follow_redirects=True, timeout=20)
        page = self.http.get(link or server.link)
        self.token = CSRF.search(page.text)[1]

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

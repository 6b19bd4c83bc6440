"""The topology of `docker-compose.yml` as plain processes on this machine: `make cluster`.

Two web processes, two workers and beat, on the local PostgreSQL and Redis; nginx or Caddy in front when one of them is
installed. Every setting of `.env.example` may be given in the environment; DATABASE_URL and REDIS_URL have defaults
here, and PORT, WEBS and WORKERS say where and how many. `TLS=1` makes a certificate that nobody trusts and serves
HTTP/2 with it.

A process that dies is started again. Ctrl-C or SIGTERM ends all of them as a deployment would: streams end, workers
hand over. SIGHUP is a rolling deployment: each process is replaced in turn, the next one when the last one works.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import psycopg
from proxy import proxy
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
PORT = int(os.environ.get("PORT", "8000"))
WEBS = int(os.environ.get("WEBS", "2"))
WORKERS = int(os.environ.get("WORKERS", "2"))
TLS = os.environ.get("TLS", "") not in {"", "0"}
DATABASE_URL = os.environ.get("DATABASE_URL", "postgresql://127.0.0.1:5432/stillwater_cluster")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
CELERY = (sys.executable, "-m", "celery", "-A", "chatapp")
QUIET = ("--without-mingle", "--without-gossip", "--without-heartbeat")
PATIENCE_SECONDS = 15.0
SHORT_LIFE_SECONDS = 5.0
MOST_SHORT_LIVES = 3  # in a row: then it is no accident
PR_SET_PDEATHSIG = 1


@dataclass
class Part:
    """One process, and whether it works."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    works: Callable[[Part], bool] = lambda part: part.running()
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    short_lives: int = field(default=0)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only this program; it ends when this one dies."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,  # greetings; what goes wrong is on standard error
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - there are no threads here
        )

    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.running():
            self.process.terminate()

    def wait(self) -> None:
        """Wait until it has ended, or end it."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not end in time and was killed.", flush=True)
            self.process.kill()
            self.process.wait()

    def wait_until_it_works(self) -> None:
        """Wait for as long as that is likely."""
        until = time.monotonic() + 4 * PATIENCE_SECONDS
        while not self.works(self) and time.monotonic() < until:
            time.sleep(0.2)

    def revive(self) -> None:
        """Start it again after it has ended by itself. Raises `SystemExit` when that is of no use."""
        status = self.process.returncode if self.process is not None else None
        self.short_lives = self.short_lives + 1 if time.monotonic() - self.started < SHORT_LIFE_SECONDS else 0
        if self.short_lives >= MOST_SHORT_LIVES:
            raise SystemExit(f"{self.name} ends again and again (status {status}); everything was told to end.")
        print(f"{self.name} has ended by itself (status {status}) and is started again.", flush=True)
        self.start()


def _end_with_parent() -> None:
    """On Linux the kernel tells the process to end when its parent dies, even by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def make_database() -> None:
    """Make the database unless it is there."""
    url = urlsplit(DATABASE_URL)
    name = url.path.removeprefix("/")
    with psycopg.connect(url._replace(path="/postgres").geturl(), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def answers(part: Part) -> bool:
    """Whether a web process serves."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{part.environment['PORT']}/healthz", timeout=3) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False


def reports(part: Part) -> bool:
    """Whether a worker has said in the database that it is there."""
    pid = part.process.pid if part.process is not None else 0
    with psycopg.connect(DATABASE_URL) as connection:
        query = "SELECT 1 FROM conversations_worker WHERE name LIKE %s"
        return connection.execute(query, [f"%:{pid}:%"]).fetchone() is not None


def parts_of(directory: Path) -> tuple[list[Part], list[str]]:
    """Return what there is to run, in the order in which it is replaced, and where it will be."""
    ports = [PORT + 1 + number for number in range(WEBS)]
    front = proxy(PORT, ports, directory, tls=TLS)
    environment = {
        **os.environ,
        "DATABASE_URL": DATABASE_URL,
        "REDIS_URL": REDIS_URL,
        "GENERATION_BACKEND": "celery",
        "HOST": "127.0.0.1",
        "HTTPS": str(TLS and bool(front)),
        "TRUSTED_PROXIES": "1" if front else "0",
    }
    serve = (sys.executable, "manage.py", "serve")
    parts = [
        Part(
            f"worker {number}",
            (*CELERY, "worker", "--loglevel", "WARNING", "-n", f"worker{number}@%h", *QUIET),
            environment,
            reports,
        )
        for number in range(WORKERS)
    ]
    parts += [Part(f"web {port}", serve, environment | {"PORT": str(port)}, answers) for port in ports]
    parts.append(Part("beat", (*CELERY, "beat", "--loglevel", "WARNING", "-s", str(directory / "beat")), environment))
    if front:
        parts.append(Part("proxy", front, environment))
    scheme = "https" if TLS and front else "http"
    return parts, [f"{scheme}://127.0.0.1:{port}" for port in ([PORT] if front else ports)]


def start_all(directory: Path) -> list[Part]:
    """Prepare and start everything; print where it is."""
    parts, sites = parts_of(directory)
    make_database()
    manage = [sys.executable, "manage.py"]
    environment = parts[0].environment
    collect = [*manage, "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run(collect, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    prepared = subprocess.run([*manage, "prepare"], cwd=ROOT, env=environment, check=True, capture_output=True)
    link = prepared.stdout.decode().split("Owner: ")[1].strip()
    for part in parts:
        part.start()
    for part in parts:
        part.wait_until_it_works()
    print(f"\nThe cluster is ready at {' and '.join(f'{site}/' for site in sites)}", flush=True)
    print(f"Sign in once as the owner with this link:\n\n    {sites[0]}{link}\n\nCtrl-C stops it.", flush=True)
    return parts


def roll(parts: list[Part]) -> None:
    """Replace one process after the other, but not the proxy: somebody serves all the time."""
    for part in parts:
        if part.name != "proxy":
            part.stop()
            part.wait()
            part.start()
            part.wait_until_it_works()
    print("Every process has been replaced.", flush=True)


def watch(parts: list[Part]) -> None:
    """Start again what dies, and roll when asked to, until told to stop."""
    rolls: list[int] = []

    def ask_for_roll(number: int, _frame: FrameType | None) -> None:
        rolls.append(number)

    signal.signal(signal.SIGHUP, ask_for_roll)
    while True:
        for part in parts:
            if not part.running():
                part.revive()
        if rolls:
            rolls.clear()
            roll(parts)
        time.sleep(0.5)


def main() -> None:
    """Run until told to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job would ignore the first one
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="stillwater-cluster-") as name:
        parts: list[Part] = []
        try:
            parts = start_all(Path(name))
            watch(parts)
        except KeyboardInterrupt:
            print("Ending ...", flush=True)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough: nothing may be left behind
            for kind in (lambda part: part.name != "proxy", lambda part: part.name == "proxy"):
                ending = [part for part in parts if kind(part)]
                for part in ending:
                    part.stop()
                for part in ending:
                    part.wait()


if __name__ == "__main__":
    main()

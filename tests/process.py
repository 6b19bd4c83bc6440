"""A process that tests start, kill, freeze and start again; what it says goes to a log."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120  # a machine may be busy
END_SECONDS = 30


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run `manage.py` with these arguments; return what it says."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Process(ABC):
    """One process of the project; it may be started again after its end."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self.log = log
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What to run."""

    @abstractmethod
    def works(self, said: str) -> bool:
        """Whether it is ready, as far as one can see, also from what it has said since it was started."""

    def start(self) -> None:
        with self.log.open("ab") as log:
            mark = log.tell()
            self.process = subprocess.Popen(self.command(), cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < until:
            if self.works(self.log.read_bytes()[mark:].decode()):
                return
            time.sleep(0.05)
        raise AssertionError(f"{self.command()} did not start:\n{self.log.read_text()}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """As `kill -9`: no clean-up of any kind."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> float:
        """Ask the process to end; return how many seconds it took."""
        started = time.monotonic()
        self.signal(signal.SIGTERM)
        self.process.wait(timeout=END_SECONDS)
        return time.monotonic() - started

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

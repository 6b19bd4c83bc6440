"""The last resort of a process that is told to end: it ends, whatever still waits.

At its end Python waits for every thread of every pool: also for one that a locked database, a silent broker or a slow
piece of work holds up, for as long as that takes. Whoever supervises the process would kill it after 10 seconds, as a
fault. Ending without waiting loses nothing that anyone has seen: what is visible is durable. Leases that could not be
given back run out.
"""

from __future__ import annotations

import logging
import os
import threading

logger = logging.getLogger(__name__)

EXIT_SECONDS = 5.0


def exit_soon() -> None:
    """Have this process end within `EXIT_SECONDS`, by itself or without waiting any more. Not for signal handlers."""
    timer = threading.Timer(EXIT_SECONDS, _exit)
    timer.daemon = True
    timer.start()


def _exit() -> None:
    waiting = sorted(thread.name for thread in threading.enumerate() if not thread.daemon)
    logger.warning("This process ends without waiting any longer for its threads: %s", ", ".join(waiting))
    os._exit(0)

"""Whether this process is the only one that writes answers into its database.

A process that was killed cannot give its leases back. When no other process can hold any, the next start need not wait
for them to run out. On SQLite all processes are on one machine: each holds a shared lock on a file beside the database
for as long as it lives, and the kernel ends that lock however the process ends. On PostgreSQL nobody can know.
"""

from __future__ import annotations

import fcntl
import os

from django.db import connection

_locks: dict[str, int] = {}  # by path; an open file for the life of the process


def first_alone() -> bool:
    """Return True at the first call of a process when no other one serves its database; False at every other call."""
    if connection.vendor != "sqlite":
        return False
    path = f"{connection.settings_dict['NAME']}.serving"
    if path in _locks:
        return False
    _locks[path] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(_locks[path], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        alone = False
    else:
        alone = True
    fcntl.flock(_locks[path], fcntl.LOCK_SH)
    return alone

"""What depends on how a database behaves under many writers, run again on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from urllib.parse import urlsplit

from django.db import connection

from tests.cluster.processes import postgresql_url
from tests.combination import EVERYTHING
from tests.process import ROOT

FILES = ["test_journal", "test_takeover", "test_limits"]
if EVERYTHING:
    FILES += [
        "test_runner",
        "test_audit",
        "test_turns",
        "test_models",
        "test_deliveries",
        "test_retention",
        "test_admin_review",
        "test_search",
    ]


def test_the_concurrent_parts_on_postgresql():
    if connection.vendor == "postgresql":
        return  # everything runs there already
    url = urlsplit(postgresql_url())._replace(path=f"/stillwater_{uuid.uuid4().hex[:10]}").geturl()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov"]
    result = subprocess.run(
        [*command, *(f"tests/{name}.py" for name in FILES)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("COV_")}
        | {"TEST_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]

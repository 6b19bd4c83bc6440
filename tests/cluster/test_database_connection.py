"""What the kernel is told of connections to PostgreSQL.

That it gives up a connection into nothing, in time, cannot be shown without the right to drop packets; that it was told
to can.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from tests.cluster.processes import postgresql_url
from tests.process import ROOT

ASK = """
import json, socket
import django
django.setup()
from django.db import connection
with connection.cursor():
    kernel = socket.socket(fileno=connection.connection.pgconn.socket)
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
    told = {name: kernel.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names}
    print(json.dumps(told | {"SO_KEEPALIVE": kernel.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}))
    kernel.detach()
"""


@pytest.mark.parametrize(("query", "seconds"), [("", 10), ("tcp_user_timeout=30000", 30)])
def test_the_kernel_gives_up_a_connection_into_nothing(tmp_path, query, seconds):
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "chatapp.settings",
        "DATA_DIR": str(tmp_path),
        "ENV_FILE": str(tmp_path / "none.env"),
        "DATABASE_URL": urlsplit(postgresql_url())._replace(query=query).geturl(),
    }
    command = [sys.executable, "-c", ASK]
    asked = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout) == {
        "SO_KEEPALIVE": 1,
        "TCP_KEEPIDLE": 5,
        "TCP_KEEPINTVL": 2,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": seconds * 1000,
    }

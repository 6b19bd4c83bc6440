"""The environment of the tests, set before Django reads its settings: pytest loads this module first (`-p`).

Tests keep their data apart, and ask no service that happens to run on this machine.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

DATA_DIR = Path(tempfile.mkdtemp(prefix="stillwater-tests-"))
(DATA_DIR / "static").mkdir()
os.environ.update(
    DATA_DIR=str(DATA_DIR),
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL", f"sqlite:///{DATA_DIR / 'db.sqlite3'}"),
    ENV_FILE=str(DATA_DIR / "none.env"),
    OLLAMA_URL="",
    OPENAI_BASE_URL="",
    OPENAI_API_KEY="",
    # Switched on, so that every test of all pages meets their pages; nothing is asked of it before somebody signs in.
    MFA="optional",
    OIDC_ISSUER="http://127.0.0.1:9/",
    OIDC_CLIENT_ID="stillwater",
    OIDC_CLIENT_SECRET="the secret of the client",
)

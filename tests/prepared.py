"""What a new installation has after its migrations, made once in a run of the tests and copied for each process.

Migrating takes seconds of computing, and some sixty servers and clusters begin with an empty database. What migrations
themselves do is tested elsewhere; here they only have to have happened.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.process import manage

SQLITE = "db.sqlite3"
STATIC = "static"


def _manage(directory: Path, database_url: str, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    environment |= {"DATA_DIR": str(directory), "DATABASE_URL": database_url, "ENV_FILE": str(directory / "none.env")}
    manage(environment, *arguments, "--verbosity", "0")


@functools.cache
def _directory() -> Path:
    """A migrated SQLite database, and the collected static files."""
    directory = Path(tempfile.mkdtemp(prefix="stillwater-prepared-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    _manage(directory, f"sqlite:///{directory / SQLITE}", "migrate")
    _manage(directory, f"sqlite:///{directory / SQLITE}", "collectstatic", "--no-input")
    return directory


def copy_static(data_dir: Path) -> None:
    """As `manage.py collectstatic` would."""
    shutil.copytree(_directory() / STATIC, data_dir / STATIC, dirs_exist_ok=True)


def copy_sqlite(data_dir: Path) -> None:
    """As `manage.py migrate` would, with SQLite in this directory."""
    shutil.copy(_directory() / SQLITE, data_dir / SQLITE)


@functools.cache
def postgresql_template(server_url: str) -> str:
    """The name of a migrated database on that server, to copy with `CREATE DATABASE … TEMPLATE`."""
    name = f"stillwater_test_template_{uuid.uuid4().hex[:10]}"

    def execute(query: str) -> None:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(query)

    execute(f"CREATE DATABASE {name}")
    atexit.register(execute, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _manage(_directory(), urlsplit(server_url)._replace(path=f"/{name}").geturl(), "migrate")
    return name

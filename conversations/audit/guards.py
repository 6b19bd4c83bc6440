"""Triggers by which the database itself refuses to change or delete audit entries.

The one change that they let pass is the seal, once. They are put there by a migration, and again after each `migrate`:
SQLite makes a table anew to change it, and its triggers are lost with the old one.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "conversations_auditentry"
CONTENT = ("id", "at", "actor_id", "action", "conversation_id", "generation_id", "data")
NAMES = ("audit_no_update", "audit_no_delete")
_MESSAGE = "audit entries are only ever added to"

_SEAL = "OLD.position IS NULL AND NEW.position IS NOT NULL"
_SQLITE_SAME = " AND ".join(f'OLD."{name}" IS NEW."{name}"' for name in CONTENT)
_POSTGRESQL_SAME = " AND ".join(f'OLD."{name}" IS NOT DISTINCT FROM NEW."{name}"' for name in CONTENT)

_INSTALL = {
    "sqlite": (
        f"CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON {TABLE} "
        f"WHEN NOT ({_SEAL} AND {_SQLITE_SAME}) BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
        f"CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON {TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{_MESSAGE}' USING ERRCODE = 'restrict_violation'; END $$",
        f"CREATE OR REPLACE TRIGGER audit_no_update BEFORE UPDATE ON {TABLE} FOR EACH ROW "
        f"WHEN (NOT ({_SEAL} AND {_POSTGRESQL_SAME})) EXECUTE FUNCTION audit_refuse()",
        f"CREATE OR REPLACE TRIGGER audit_no_delete BEFORE DELETE ON {TABLE} FOR EACH ROW "
        "EXECUTE FUNCTION audit_refuse()",
        f"CREATE OR REPLACE TRIGGER audit_no_truncate BEFORE TRUNCATE ON {TABLE} FOR EACH STATEMENT "
        "EXECUTE FUNCTION audit_refuse()",
    ),
}
_REMOVE = {
    "sqlite": tuple(f"DROP TRIGGER IF EXISTS {name}" for name in NAMES),
    "postgresql": tuple(f"DROP TRIGGER IF EXISTS {name} ON {TABLE}" for name in (*NAMES, "audit_no_truncate")),
}
_LIST = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled <> 'D'",
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the guards where they are missing."""
    _run(connection, _INSTALL[connection.vendor])


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take the guards away: to undo the migration, and for tests that tamper."""
    _run(connection, _REMOVE[connection.vendor])


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of guards that are not there, or switched off."""
    with connection.cursor() as cursor:
        cursor.execute(_LIST[connection.vendor], [TABLE])
        found = {str(row[0]) for row in cursor.fetchall()}
    wanted = (*NAMES, "audit_no_truncate") if connection.vendor == "postgresql" else NAMES
    return [name for name in wanted if name not in found]


def install_after_migrate(using: str, **_kwargs: Any) -> None:
    """Receive Django's `post_migrate`."""
    from django.db import connections  # noqa: PLC0415 - this module is read while applications are still being loaded

    connection = connections[using]
    if TABLE not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        columns = {column.name for column in connection.introspection.get_table_description(cursor, TABLE)}
    if "position" in columns:  # it is not when migrations are taken back
        install(connection)


def _run(connection: BaseDatabaseWrapper, statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)

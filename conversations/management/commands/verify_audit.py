"""`manage.py verify_audit`: whether the audit trail is what it was."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from conversations.audit import chain, guards
from conversations.audit.chain import Head


class Command(BaseCommand):
    """Recalculates the chain. Ends with 0 if it is whole and guarded, else with 1, and says where it breaks."""

    help = "Verify the chain of the audit trail, and that the database guards it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a head that was noted before."""
        parser.add_argument("--head", metavar="POSITION:HASH", help="A head printed or logged before; still there?")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's interface
        """Verify."""
        verdict = chain.verify(_head(options["head"]))
        if verdict.problem:
            raise CommandError(f"The chain is broken: {verdict.problem}.")
        if missing := guards.missing(connection):
            raise CommandError(f"The chain is whole, but the database lacks guards: {', '.join(missing)}. Run migrate.")
        self.stdout.write(f"The chain is whole: {verdict.head.position} entries.")
        if verdict.unsealed:
            oldest = verdict.oldest_unsealed_at
            self.stdout.write(
                f"Not sealed yet: {verdict.unsealed} entries, the oldest of {oldest:%Y-%m-%d %H:%M:%S%z}."
            )
        self.stdout.write(f"Head {verdict.head}")


def _head(text: str | None) -> Head | None:
    try:
        return Head.parse(text) if text else None
    except ValueError:
        raise CommandError("A head looks like 1234:<64 hexadecimal digits>.") from None

"""`manage.py export_audit`: the audit trail as JSON Lines."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from conversations.audit import export


class Command(BaseCommand):
    """Writes one entry a line, bit by bit: the trail may be longer than memory."""

    help = "Write the audit trail as JSON Lines."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the time that is asked about."""
        parser.add_argument("--since", type=export.moment, help="From this day, or moment, on (ISO 8601).")
        parser.add_argument("--until", type=export.moment, help="Before this day, or moment.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's interface
        """Export."""
        for line in export.lines(export.between(options["since"], options["until"])):
            self.stdout.write(line, ending="")

"""`manage.py retention`: apply the rules now, or say what they would do."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from conversations.keeping import purge, retention
from conversations.models import RetentionRule


class Command(BaseCommand):
    """Deletes what is due by all enabled rules, to the end; the server does so by itself, in pieces."""

    help = "Delete conversations that are older than the enabled rules let them become."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the wish to look only."""
        parser.add_argument("--dry-run", action="store_true", help="Say what each rule would delete; delete nothing.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's interface
        """Say, and do unless only to say."""
        for rule in RetentionRule.objects.all():
            found = retention.amount(retention.due(rule))
            state = "" if rule.enabled else " (not enabled)"
            self.stdout.write(
                f"{rule.name}{state}: {found.conversations} conversations with {found.messages} messages "
                f"and {found.attachments} files, the oldest of {found.oldest_at or 'no day'}"
            )
            if rule.enabled and not options["dry_run"]:
                while retention.delete_piece(rule):
                    _take_away()


def _take_away() -> None:
    while not purge.tidy():
        pass

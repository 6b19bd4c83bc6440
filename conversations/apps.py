from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy


class ConversationsConfig(AppConfig):
    name = "conversations"
    verbose_name = gettext_lazy("Conversations")

    def ready(self) -> None:
        """Register the system checks, listen to the ends of sessions, and have the audit trail guarded."""
        from conversations import checks  # noqa: F401 - importing the first is what registers them
        from conversations.audit import (
            guards,
            signins,
        )
        from conversations.serving import sessions

        sessions.tell_of_ends()
        signins.note_sign_ins()
        post_migrate.connect(guards.install_after_migrate, sender=self, dispatch_uid="guards of the audit trail")

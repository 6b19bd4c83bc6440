from django.apps import AppConfig


class ConversationsConfig(AppConfig):
    name = "conversations"

    def ready(self) -> None:
        """Register the system checks."""
        from conversations import checks  # noqa: F401, PLC0415 - importing it is what registers them

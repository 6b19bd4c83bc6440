from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class AccountsConfig(AppConfig):
    name = "chatapp.accounts"
    verbose_name = gettext_lazy("Accounts")

    def ready(self) -> None:
        """Listen to django-allauth."""
        from allauth.mfa.signals import authenticator_added  # noqa: PLC0415 - needs the models

        authenticator_added.connect(_has_just_proved_it, dispatch_uid="chatapp.accounts")


def _has_just_proved_it(request: Any, user: Any, **_kwargs: Any) -> None:
    """Whoever has just set a second factor up is not asked for it at once: its code counts only once."""
    from allauth.account.internal.flows.login import record_authentication  # noqa: PLC0415 - needs the models

    record_authentication(request, user, method="mfa", reauthenticated=True)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.forms import CheckboxSelectMultiple
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from chatapp.accounts.models import User


class AccountAdmin(UserAdmin):  # type: ignore[type-arg] # generic in the stubs only
    """Accounts. Deleting one deletes all that it owns, also what staff may only read."""

    list_display: tuple[str, ...] = ("username", "email", "role", "is_staff", "is_active", "last_login")
    list_filter: ClassVar[tuple[str, ...]] = ("is_staff", "is_superuser", "is_active", "groups")
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal: ClassVar[tuple[str, ...]] = ("user_permissions",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Read the groups of a whole page at once."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description=gettext_lazy("groups"))
    def role(self, user: User) -> str:
        """The groups, of which some are roles."""
        return ", ".join(group.name for group in user.groups.all())

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer groups as boxes to tick: there are few, and it works on a phone and without a script."""
        if db_field.name == "groups":
            kwargs["widget"] = CheckboxSelectMultiple()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> tuple[Any, Any, set[str], Any]:
        """Count what goes along: titles are masked here. Who may delete the account needs no leave for each kind."""
        _deleted, counts, _forbidden, protected = super().get_deleted_objects(objs, request)  # type: ignore[arg-type] # querysets and lists
        return [user.get_username() for user in objs], counts, set(), protected


class WayInAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # as above
    """A second factor, or an account at the OpenID provider: staff take it away when it was lost, and do no more."""

    list_display: tuple[str, ...] = ("user",)
    list_select_related = ("user",)
    search_fields = ("user__username",)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's interface
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - as above
        return False


class AuthenticatorAdmin(WayInAdmin):
    """Second factors, without their secrets."""

    list_display: tuple[str, ...] = ("user", "type", "created_at", "last_used_at")
    fields = list_display


class SocialAccountAdmin(WayInAdmin):
    """Accounts at the OpenID provider."""

    list_display: tuple[str, ...] = ("user", "last_login", "date_joined")
    fields = (*list_display, "extra_data")


admin.site.register(User, AccountAdmin)
# Providers come from the settings, and their tokens are not stored: no form of the admin takes or shows a secret.
admin.site.unregister([SocialApp, SocialToken, SocialAccount, Authenticator])
admin.site.register(SocialAccount, SocialAccountAdmin)
admin.site.register(Authenticator, AuthenticatorAdmin)

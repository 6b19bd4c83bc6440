"""The URL table of the project."""

from __future__ import annotations

from typing import NoReturn

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.contrib.contenttypes import views as contenttypes
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.urls import include, path

from chatapp import shell
from chatapp.accounts import language, openid, views
from conversations.admin.operations import operations

# One sign-in, with its throttling, for the chat and for the admin.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


def _closed(_request: HttpRequest, **_arguments: str) -> NoReturn:
    """Nothing here completes by itself: what Django would answer is the title of each row, masked or not. And no row
    has an address of its own on the site, to which the admin would lead.
    """
    raise PermissionDenied


admin.site.enable_nav_sidebar = False  # ours is in `admin/conversations/_navigation.html`
admin.site.autocomplete_view = _closed  # type: ignore[assignment, method-assign] # as above
contenttypes.shortcut = _closed  # type: ignore[assignment] # as above

urlpatterns = [
    path("admin/operations/", admin.site.admin_view(operations), name="operations"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.account.urls")),
    path("sign-in/<str:uid>/<str:token>/", views.sign_in, name="sign_in"),
    path("theme/", views.theme, name="theme"),
    # The one URL of `django.conf.urls.i18n`, for those who are not signed in as well.
    path("i18n/setlang/", language.choose, name="set_language"),
    # The site as an application: from the root, because a service worker governs what lies below its own address.
    path("manifest.webmanifest", shell.manifest, name="manifest"),
    path("sw.js", shell.service_worker, name="service_worker"),
    path("offline/", shell.offline, name="offline"),
    path("", include("conversations.urls")),
]

# What is not switched on is not there.
if settings.MFA != "off":
    urlpatterns.append(path("accounts/2fa/", include("allauth.mfa.urls")))
if settings.OIDC_ISSUER:
    urlpatterns += [
        path("accounts/oidc/<str:provider_id>/login/", openid.begin, name="openid_connect_login"),
        path("accounts/oidc/<str:provider_id>/login/callback/", openid.finish, name="openid_connect_callback"),
        path("accounts/3rdparty/", include("allauth.socialaccount.urls")),
    ]

handler500 = shell.server_error

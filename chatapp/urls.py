"""The URL table of the project."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from chatapp.accounts import views

# One sign-in, with its throttling, for the chat and for the admin.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("sign-in/<str:uid>/<str:token>/", views.sign_in, name="sign_in"),
    path("theme/", views.theme, name="theme"),
    path("", include("conversations.urls")),
]

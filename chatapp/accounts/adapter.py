"""What django-allauth asks us."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """Opens and closes sign-up by the setting `SIGNUP_OPEN`."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's interface
        return bool(settings.SIGNUP_OPEN)


class SocialAdapter(DefaultSocialAccountAdapter):
    """Opens and closes accounts for strangers whom the OpenID provider knows, by the setting `OIDC_SIGNUP`."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002 - as above
        return bool(settings.OIDC_SIGNUP)

"""Sign-in through an OpenID Connect provider: what django-allauth leaves to trust is checked here.

The code flow with PKCE, state and nonce. Of the provider's answers only those count that bear its signature, name it as
the issuer and us as the audience, have not run out and repeat our nonce. It decides who somebody is, never what they
may do here, and an address that it names never opens an account that was made another way.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import jwt
from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView, OAuth2View
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods
from requests import RequestException

# Asymmetric ones only: with a symmetric one, whoever knows the public key could sign.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
CLAIMS = ["iss", "aud", "sub", "exp", "iat"]
LEEWAY_SECONDS = 30  # between the provider's clock and ours


class OpenIdAdapter(OpenIDConnectOAuth2Adapter):
    """Reads what the provider says. Raises OAuth2Error or RequestException when it cannot be believed, or had."""

    nonce = ""  # of the sign-in that is being finished

    @property
    def openid_config(self) -> dict[str, Any]:
        """Return what the provider publishes about itself, which must be the one that the settings name."""
        config: dict[str, Any] = super().openid_config
        if config.get("issuer", "").rstrip("/") != settings.OIDC_ISSUER.rstrip("/"):
            raise OAuth2Error("The provider is not the one that OIDC_ISSUER names")
        return config

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **kwargs: Any) -> SocialLogin:
        """Return who signs in, from the signed token and what the provider adds to it."""
        claims = self._claims(app, kwargs["response"].get("id_token") or "")
        more: dict[str, Any] = {}
        if "userinfo_endpoint" in self.openid_config:
            more = self._fetch_user_info(token.token)
            if more.get("sub") != claims["sub"]:
                raise OAuth2Error("The user info is about somebody else")
        data = {"id_token": claims, "userinfo": {**claims, **more}}
        return self.get_provider().sociallogin_from_response(request, data)

    def _claims(self, app: SocialApp, token: str) -> dict[str, Any]:
        config = self.openid_config
        with get_adapter().get_requests_session() as session:
            response = session.get(config["jwks_uri"])
            response.raise_for_status()
        try:
            key = _key(response.json(), jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key=key,
                algorithms=ALGORITHMS,
                issuer=config["issuer"],
                audience=app.client_id,
                leeway=LEEWAY_SECONDS,
                options={"require": CLAIMS},
            )
        except jwt.PyJWTError as error:
            raise OAuth2Error("The ID token cannot be believed") from error
        if not self.nonce or not secrets.compare_digest(str(claims.get("nonce", "")), self.nonce):
            raise OAuth2Error("The ID token belongs to another sign-in")
        if claims.get("azp", app.client_id) != app.client_id:
            raise OAuth2Error("The ID token was made for another application")
        return claims


def _key(published: dict[str, Any], kid: str | None) -> jwt.PyJWK:
    keys = jwt.PyJWKSet.from_dict(published).keys
    found = [key for key in keys if key.key_id == kid]
    if len(found) != 1:
        raise OAuth2Error("The ID token names no key of the provider")
    return found[0]


class OpenIdProvider(OpenIDConnectProvider):
    """What is asked of the provider, and what of its answer is kept."""

    oauth2_adapter_class = OpenIdAdapter

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        """Return where to go after the sign-in; an address of ours must not say more about it."""
        return {**super().get_redirect_from_request_kwargs(request), "scope": self.get_scope(), "auth_params": {}}

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        """Send the browser to the provider with a nonce that its answer has to repeat."""
        nonce = secrets.token_urlsafe(24)
        kwargs["auth_params"] = {"nonce": nonce}
        response: HttpResponse = super().redirect(request, process, next_url, data, nonce=nonce, **kwargs)
        return response

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Return what stands for somebody for ever: names are unique at one issuer only."""
        claims = data["id_token"]
        return hashlib.sha256(f"{claims['iss']}\n{claims['sub']}".encode()).hexdigest()

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        """Return the address, verified only if the provider says just that."""
        addresses: list[EmailAddress] = super().extract_email_addresses(data)
        for address in addresses:
            address.verified = data["userinfo"].get("email_verified") is True
        return addresses


class CallbackView(OAuth2CallbackView):
    """Finishes a sign-in that was begun in the same session."""

    def _get_state(self, request: HttpRequest, provider: OpenIdProvider) -> tuple[Any, HttpResponse | None]:
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = (state or {}).get("nonce", "")
        return state, response


@require_http_methods(["GET", "POST"])
@login_not_required
def begin(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Ask whether to leave for the provider, then lead there.

    By a page, not by a redirect: the policy lets forms go to this site only, wherever a redirect would take them.
    """
    response = _answer(OAuth2LoginView, request, provider_id)
    if response.status_code == 302 and response["Location"].startswith(("https://", "http://")):  # noqa: PLR2004
        return render(request, "socialaccount/leaving.html", {"address": response["Location"]})
    return response


@require_GET
@login_not_required
def finish(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Sign in whom the provider has sent back."""
    return _answer(CallbackView, request, provider_id)


def _answer(view: type[OAuth2View], request: HttpRequest, provider_id: str) -> HttpResponse:
    adapter = OpenIdAdapter(request, provider_id)
    try:
        provider = adapter.get_provider()
    except SocialApp.DoesNotExist:
        raise Http404 from None
    try:
        response: HttpResponse = view.adapter_view(adapter)(request)
    except (
        RequestException,
        OAuth2Error,
        LookupError,
        ValueError,
        TypeError,
    ) as error:  # what a provider can get wrong
        response = render_authentication_error(request, provider, exception=error)
    return response

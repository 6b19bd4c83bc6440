"""Where requests come from: by the socket, or by what our own proxies say of it; never by what a client says."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse

# What the request being answered counts as; empty outside of requests.
client_network: ContextVar[str] = ContextVar("client_network", default="")

IPV6_PREFIX = 64  # what one customer has: within it addresses are free


def network(address: str) -> str:
    """Return what counts as one address: itself, or of IPv6 the network of one customer."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:45]
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.IPv6Network((parsed, IPV6_PREFIX), strict=False).network_address)
    return str(parsed)


def forwarded_address(peer: str, forwarded_for: str) -> str:
    """Return the client's address: of `X-Forwarded-For` only what our own proxies have added is believed."""
    proxies: int = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    return hops[-proxies] if proxies and len(hops) >= proxies else peer


def address_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Note for each request where it comes from."""

    def middleware(request: HttpRequest) -> HttpResponse:
        peer = request.META.get("REMOTE_ADDR") or ""
        address = forwarded_address(peer, request.headers.get("x-forwarded-for", ""))
        token = client_network.set(network(address) if address else "")
        try:
            return get_response(request)
        finally:
            client_network.reset(token)

    return middleware

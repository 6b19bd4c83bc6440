"""An OpenID Connect provider on a socket, which tells the truth unless a test has it lie.

Whoever comes is signed in at once as `claims` say. `lies` replaces claims of the next ID tokens (None leaves one out);
`key`, `algorithm` and `kid` say how they are signed; `issuer` is what it publishes of itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = ("stillwater", "the secret of the client")


class OpenIdServer:
    def __init__(self) -> None:
        self.right_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.tell_the_truth()

    def tell_the_truth(self) -> None:
        self.issuer = self.address
        self.claims: dict[str, Any] = {"sub": "248289761001", "preferred_username": "grace"}
        self.lies: dict[str, Any] = {}
        self.user_info: dict[str, Any] = {}
        self.key: Any = self.right_key
        self.algorithm = "RS256"
        self.kid = "first"
        self.asked: list[dict[str, str]] = []  # what the sign-in page of the provider was asked with
        self.failing = ""  # the path that answers 500
        self._codes: dict[str, dict[str, str]] = {}

    def __enter__(self) -> OpenIdServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def discovery(self, _fields: dict[str, str]) -> dict[str, Any]:
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo"}
        addresses = {name: f"{self.address}/{path}" for name, path in names.items()}
        return {"issuer": self.issuer, "jwks_uri": f"{self.address}/jwks", **addresses}

    def jwks(self, _fields: dict[str, str]) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.right_key.public_key()))
        return {"keys": [{**public, "kid": "first", "alg": "RS256", "use": "sig"}]}

    def authorize(self, fields: dict[str, str]) -> str:
        """Where the browser goes next."""
        self.asked.append(fields)
        code = secrets.token_urlsafe()
        self._codes[code] = fields
        return f"{fields['redirect_uri']}?{urlencode({'code': code, 'state': fields['state']})}"

    def token(self, fields: dict[str, str]) -> dict[str, Any]:
        """Tokens for a code, once, for whoever has its verifier; raises KeyError or AssertionError otherwise."""
        began = self._codes.pop(fields["code"])
        assert (fields["client_id"], fields["client_secret"]) == CLIENT
        assert fields["redirect_uri"] == began["redirect_uri"]
        digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == began["code_challenge"]
        assert began["code_challenge_method"] == "S256"
        now = int(time.time())
        basic = {"iss": self.address, "aud": CLIENT[0], "iat": now, "exp": now + 300, "nonce": began.get("nonce")}
        claims = {**basic, **self.claims, **self.lies}
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode(claims, self.key, self.algorithm, headers={"kid": self.kid})
        return {"access_token": "a token", "token_type": "Bearer", "id_token": token}

    def userinfo(self, _fields: dict[str, str]) -> dict[str, Any]:
        return {**self.claims, **self.user_info}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(urlsplit(self.path).query)

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _answer(self, query: str) -> None:
                path = urlsplit(self.path).path
                fields = {name: values[0] for name, values in parse_qs(query).items()}
                routes = {
                    "/.well-known/openid-configuration": provider.discovery,
                    "/jwks": provider.jwks,
                    "/authorize": provider.authorize,
                    "/token": provider.token,
                    "/userinfo": provider.userinfo,
                }
                try:
                    assert path != provider.failing
                    answer = routes[path](fields)
                except (KeyError, AssertionError):
                    self.send_response(500)
                    self.end_headers()
                    return
                self.send_response(302 if isinstance(answer, str) else 200)
                if isinstance(answer, str):
                    self.send_header("Location", answer)
                    self.end_headers()
                else:
                    self.send_header("Content-Type", "application/json")
                    self.end_headers()
                    self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

"""The proxy in front of the web processes of `make cluster`: Caddy or nginx, whichever is installed.

It refuses bodies that no address takes; the application looks more closely, address by address.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

MARGIN_BYTES = 5_000_000  # fields, and what is around files on the wire
NGINX = """daemon off; pid {directory}/nginx.pid; error_log stderr; worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  upstream stillwater {{ least_conn; {upstreams} keepalive 64; }}
  server {{
    listen 127.0.0.1:{port}{tls};
    client_header_timeout 60s; client_body_timeout 60s;
    proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_buffering off; proxy_read_timeout 330s; proxy_connect_timeout 2s;
    # A process that ends takes requests along; each has a key of its own, so that asking again does nothing twice.
    proxy_next_upstream error timeout non_idempotent; proxy_next_upstream_tries 3;
    location / {{ client_max_body_size {message_bytes}; proxy_pass http://stillwater; }}
    location = /imports/ {{ client_max_body_size {import_bytes}; proxy_pass http://stillwater; }}
  }}
}}
"""
CADDY = """{{
  admin off
  servers {{
    timeouts {{
      read_header 60s
    }}
  }}
}}
{site} {{
  {tls}
  @import path /imports/
  @other not path /imports/
  request_body @import {{
    max_size {import_bytes}
  }}
  request_body @other {{
    max_size {message_bytes}
  }}
  reverse_proxy {upstreams} {{
    flush_interval -1
    lb_policy least_conn
    lb_try_duration 5s
    fail_duration 2s
  }}
}}
"""


def make_certificate(directory: Path) -> None:
    """Make a key and a certificate for this machine's names, which signs itself."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "certificate.pem"), "-days", "30"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *files, *names], check=True, capture_output=True)


def longest_bodies() -> dict[str, int]:
    """Return, in bytes, how long a body may be; the application itself looks more closely, address by address."""

    def setting(name: str, default: int) -> int:
        return int(os.environ.get(name, default))

    files = min(
        setting("UPLOAD_BYTES", 100_000_000),
        setting("ATTACHMENTS_PER_MESSAGE", 10) * setting("ATTACHMENT_BYTES", 5_000_000),
    )
    return {"import_bytes": setting("IMPORT_BYTES", 100_000_000) + MARGIN_BYTES, "message_bytes": files + MARGIN_BYTES}


def proxy(port: int, ports: list[int], directory: Path, *, tls: bool) -> tuple[str, ...]:
    """Return the command of a proxy on `port` in front of `ports`; empty when none is installed."""
    if tls:
        make_certificate(directory)
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if shutil.which("caddy"):
        site = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        upstreams = " ".join(f"127.0.0.1:{each}" for each in ports)
        with_tls = f"tls {certificate} {key}" if tls else ""
        text = CADDY.format(site=site, upstreams=upstreams, tls=with_tls, **longest_bodies())
        (directory / "Caddyfile").write_text(text)
        return ("caddy", "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile"))
    if shutil.which("nginx"):
        upstreams = " ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in ports)  # who is back is asked at once
        with_tls = f" ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key}" if tls else ""
        text = NGINX.format(port=port, upstreams=upstreams, directory=directory, tls=with_tls, **longest_bodies())
        (directory / "nginx.conf").write_text(text)
        return ("nginx", "-e", "stderr", "-c", str(directory / "nginx.conf"))
    return ()

"""`manage.py serve`: the whole of Stillwater in one process, for one machine."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import sys
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string
from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred

from chatapp import startup
from chatapp.daphne import DrainingServer
from conversations import dispatch, turns
from conversations.live.streams import end_streams
from conversations.process.exiting import exit_soon

reactor: Any = twisted_reactor  # made at run time: its declared interfaces are not all it has
BACKLOG = 1024  # Daphne's default of 50 refuses connections when many clients come back at once
SWITCH_SECONDS = 0.001  # a view thread waits this long for a busy event loop; Python's default is five times that
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses to listen on, and where to find them


class Command(BaseCommand):
    """Collects static files if there are none, prepares, prints the owner's sign-in link and serves."""

    help = "Serve Stillwater with Daphne on HOST and PORT."
    requires_system_checks = ()  # they are run once, by what every server runs

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's interface
        """Serve until the process is told to stop."""
        startup.refuse_what_cannot_work()
        _check_port()
        if not (settings.STATIC_ROOT / "staticfiles.json").exists():  # else every page would be an error
            call_command("collectstatic", interactive=False, verbosity=0)
        prepared = StringIO()
        call_command("prepare", stdout=prepared)
        *lines, owner = prepared.getvalue().splitlines()
        self.stdout.write("\n".join(lines))
        self._sign_in_path = owner.removeprefix("Owner: ")
        interface = settings.HOST.replace(":", r"\:")
        server = DrainingServer(
            application=import_string(settings.ASGI_APPLICATION),
            endpoints=[f"tcp:{settings.PORT}:interface={interface}:backlog={BACKLOG}"],
            ready_callable=self._greet,
            server_name="",
        )
        reactor.callLater(0, turns.attach)
        reactor.addSystemEventTrigger("before", "shutdown", _shut_down)
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.collect()
        gc.freeze()  # what is loaded by now stays: the collector need not walk through it again and again
        server.run()

    def _greet(self) -> None:
        host = ANYWHERE.get(settings.HOST, settings.HOST)
        site = f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}"
        self.stdout.write(f"\nStillwater is ready at {site}/\nSign in once as the owner with this link:\n")
        self.stdout.write(f"\n    {site}{self._sign_in_path}\n\nCtrl-C stops it.")
        self.stdout.flush()


def _shut_down() -> Deferred[None]:
    exit_soon()
    end_streams()
    return Deferred.fromFuture(asyncio.ensure_future(dispatch.detach()))


def _check_port() -> None:
    """Say in one line that the port is taken, instead of a traceback of the server."""
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, settings.PORT))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            what = "is taken by another program" if taken else f"cannot be used: {error.strerror}"
            raise CommandError(f"{settings.HOST}:{settings.PORT} {what}. Set PORT (or HOST) and try again.") from error

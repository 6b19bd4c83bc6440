"""Arms of the experiment with the pace: how they are read, who is in which, and what they change."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conversations.measuring import pacing
from tests.process import ROOT
from tests.provider_fixtures import provider_server, provider_server_process
from tests.server import Client, Server, stream_url
from tests.test_metrics import scrape, total, wait_for_bytes

__all__ = ["provider_server", "provider_server_process"]


def test_arms_are_read_from_their_setting():
    steady, fast = pacing.parse("steady:frame_ms=50, fast:frame_ms=25;stall_ms=500")
    assert (steady.name, steady.frame_ms, steady.stall_ms) == ("steady", 50, None)
    assert (fast.name, fast.frame_ms, fast.stall_ms) == ("fast", 25, 500)
    assert pacing.parse("") == ()


@pytest.mark.parametrize(
    "text", ["Bad", "a,a", "a:frame_ms=5", "a:frame_ms=x", "a:speed=3", "a,b,c,d,e,f,g", "a:frame_ms=²", "a b"]
)
def test_arms_that_cannot_be_are_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        pacing.parse(text)


def test_bad_arms_stop_the_start_with_a_sentence(tmp_path):
    server = Server(tmp_path, PACING_ARMS="a:frame_ms=1")
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=ROOT, env=server.environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "PACING_ARMS" in done.stderr
    assert "Traceback" not in done.stderr


def test_users_are_spread_over_the_arms_and_stay_there(settings):
    settings.PACING_ARMS = pacing.parse("steady:frame_ms=50,fast:frame_ms=25")
    first = [pacing.arm_of(number) for number in range(1000)]
    assert first == [pacing.arm_of(number) for number in range(1000)]
    assert 400 < first.count("fast") < 600
    settings.PACING_ARMS = ()
    assert pacing.arm_of(7) == ""


def test_an_arm_has_its_own_pace(settings):
    settings.PACING_ARMS = pacing.parse("fast:frame_ms=25")
    assert pacing.pace_of("fast") == pacing.Pace(0.025, settings.STALL_SECONDS)
    assert pacing.pace_of("gone") == pacing.Pace(settings.FRAME_SECONDS, settings.STALL_SECONDS)


def test_arms_change_how_often_frames_are_sent(tmp_path, provider_server):
    gaps = {}
    for arm, frame_ms in (("fast", 20), ("slow", 400)):
        directory = tmp_path / arm
        directory.mkdir()
        server = Server(
            directory,
            OPENAI_BASE_URL=provider_server.base_url,
            OPENAI_MODEL="paced-50",
            PACING_ARMS=f"{arm}:frame_ms={frame_ms}",
        )
        server.prepare()
        server.start()
        try:
            client = Client(server)
            page = client.ask("Go on. [[length=600]]")
            with client.http.stream("GET", stream_url(page.text)) as stream:
                wait_for_bytes(stream, 2.0)
            client.close()
            found = scrape(server)
            count = total(found, "stillwater_frame_gap_seconds_count", arm=arm)
            gaps[arm] = total(found, "stillwater_frame_gap_seconds_sum", arm=arm) / count
        finally:
            server.close()
    assert gaps["fast"] < 0.2
    assert gaps["slow"] > 0.3

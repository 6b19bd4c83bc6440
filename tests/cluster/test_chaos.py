"""Rounds of random faults in every run of the tests; `make chaos` plays as many as are asked for.

There are 25 in each mode, as far as the machine is quick enough to play them in the time that a run of all tests has.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.cluster.chaos import MODES, play

MOST_SECONDS = 60


@pytest.mark.parametrize("mode", MODES)
def test_random_faults_lose_nothing(mode):
    seed = int(os.environ.get("CHAOS_SEED", "") or random.randrange(1_000_000))
    endings = play(mode, int(os.environ.get("CHAOS_ROUNDS", "25")), seed, most_seconds=MOST_SECONDS)
    assert endings["completed"] > 0

"""Rounds of random faults in every run of the tests, 25 in each mode; `make chaos` plays as many as are asked for."""

from __future__ import annotations

import os
import random

import pytest

from tests.cluster.chaos import MODES, play


@pytest.mark.parametrize("mode", MODES)
def test_random_faults_lose_nothing(mode):
    seed = int(os.environ.get("CHAOS_SEED", "") or random.randrange(1_000_000))
    endings = play(mode, int(os.environ.get("CHAOS_ROUNDS", "25")), seed)
    assert endings["completed"] > 0

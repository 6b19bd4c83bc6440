"""Benchmarks, run by hand: `python -m bench.streams --help`. Never part of the tests."""

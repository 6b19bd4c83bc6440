"""Filters between a provider and the journal: plain values in and out; no Django, no database."""

"""Clients of the services that run models: plain values in, typed events out; no Django, no database."""

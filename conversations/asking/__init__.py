"""Asking a model: which one, what is sent to it, and what becomes of it when its service fails."""

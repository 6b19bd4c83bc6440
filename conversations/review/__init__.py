"""Reviewing what was written: flags, and who may open whose transcript."""

"""Conversations on their way out and in: exports in three formats, archives, and imports of what others exported.

`docs/format.md` describes our own format. Nothing here speaks HTTP; what takes long is run by `jobs`.
"""

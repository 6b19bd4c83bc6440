"""Conversations as pages show them: transcripts and parts of them, lists, versions, copies. It changes nothing."""

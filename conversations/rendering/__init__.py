"""Growing Markdown in, safe HTML out. No Django, no database."""

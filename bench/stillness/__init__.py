"""How still the page is while an answer streams into it, measured in Chromium: `python -m bench.stillness`."""

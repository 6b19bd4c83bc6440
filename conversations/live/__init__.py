"""From the journal to the browsers that watch: bus, live document, event bytes."""

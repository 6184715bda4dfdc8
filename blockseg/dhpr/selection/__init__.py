"""Rules that select blocks for annotation; arrays only."""

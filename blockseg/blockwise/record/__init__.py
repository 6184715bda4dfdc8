"""``run.json``: what a run was asked, what it decided, what came of it."""

"""Checks of what is plausible about a source, asked before any work."""

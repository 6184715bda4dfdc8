"""Checks of a result that a user can run, and ways back from what they find."""

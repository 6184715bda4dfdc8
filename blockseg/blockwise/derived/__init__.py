"""Derived jobs: they work on the result of a finished run and write into the same output."""

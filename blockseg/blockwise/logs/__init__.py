"""Logs of a job: a session's, and all of them read together."""

"""The sources of a job: opened, checked, watched while it runs, read again."""

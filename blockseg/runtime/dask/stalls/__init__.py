"""Tasks, workers and connections that stand still, and how a run continues."""

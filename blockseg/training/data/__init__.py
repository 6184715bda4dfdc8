"""Training data: annotated volumes and synthetic brains, as patches without end."""

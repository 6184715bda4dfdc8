"""TIFF: stacks, and folders or globs of slices."""

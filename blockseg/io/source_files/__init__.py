"""The files of a source, and whether one of them has changed."""

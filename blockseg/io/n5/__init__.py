"""N5 datasets and multiscale groups."""

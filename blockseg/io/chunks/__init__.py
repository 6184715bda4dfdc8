"""Chunked stores: what Zarr and N5 have in common."""

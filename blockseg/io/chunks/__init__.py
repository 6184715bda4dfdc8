"""Chunked stores: what Zarr, N5 and other chunked formats share."""

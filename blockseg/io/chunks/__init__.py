"""Chunked stores: common parts of Zarr and N5."""

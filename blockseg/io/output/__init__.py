"""Output groups in OME-Zarr: pyramids, shards, small files."""

"""Zarr v2 and v3, and OME-Zarr 0.1 to 0.6."""

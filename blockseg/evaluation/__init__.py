"""``blockseg evaluate``: a segmentation scored against its truth."""

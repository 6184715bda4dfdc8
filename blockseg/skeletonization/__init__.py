"""``blockseg skeletonize``: centrelines of objects as SWC and for Neuroglancer."""

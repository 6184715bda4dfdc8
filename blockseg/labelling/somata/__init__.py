"""Cell bodies in the image of a run: found on a coarse grid, listed, and shown in viewers."""

"""Atlas volumes, names of their regions, and transforms from a sample to an atlas."""

"""Atlas volumes, names of their regions, and the way from a sample to an atlas."""

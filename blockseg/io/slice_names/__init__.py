"""Names of 2-D slices, put in the order of their planes."""

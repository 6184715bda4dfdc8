"""Pure geometry, block states and errors; standard library and NumPy only."""

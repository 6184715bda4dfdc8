"""Whether a volume is one that weights were trained for, from a sample of it."""

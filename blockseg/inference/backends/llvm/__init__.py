"""SDASN on the CPU by kernels of our own, which LLVM compiles. Extra ``cpu``."""

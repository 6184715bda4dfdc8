"""Networks on CUDA devices: our own kernels, and torch's."""

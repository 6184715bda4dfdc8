"""Networks on TensorRT and TensorRT-RTX, and their engines on disk."""

"""Reports of a training: HTML, charts, TensorBoard."""

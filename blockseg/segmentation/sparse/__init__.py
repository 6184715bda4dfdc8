"""``--sparse``: what need not be inferred, calibrated on the volume itself."""

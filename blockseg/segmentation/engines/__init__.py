"""Choice of a device's engine, by evaluating each on windows of the volume."""

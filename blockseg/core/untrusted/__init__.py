"""Files and documents that others wrote: bounded before they are read or parsed."""

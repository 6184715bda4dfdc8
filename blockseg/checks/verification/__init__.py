"""``blockseg verify``: whether OUT is as it was written, and its repair."""

"""``blockseg debug``: all about one block in one file, and the block once more, alone."""

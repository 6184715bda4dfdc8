"""``blockseg synth``: a synthetic brain written block by block."""

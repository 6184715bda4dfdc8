"""``blockseg propose-annotations``: the blocks most worth annotating."""

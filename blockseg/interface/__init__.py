"""The Python interface, a module a kind of work; :mod:`blockseg` has all of it."""

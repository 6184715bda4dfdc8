"""The version of blockseg that is installed."""

from importlib.metadata import version

__version__ = version("blockseg")

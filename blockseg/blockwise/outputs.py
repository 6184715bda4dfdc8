"""Places that a job writes to, and whether it can; nothing is written here."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from blockseg.core.errors import ConfigError, VolumeError
from blockseg.core.places import local_path, refuse_no_text
from blockseg.io.stores.address import addressed, is_remote, redacted
from blockseg.io.stores.location import RemotePath, lies_in, location

if TYPE_CHECKING:
    from blockseg.core.choices import StoreChoices
    from blockseg.core.specs import VolumeSpec
    from blockseg.io.stores.location import Location

_SUFFIXES = re.compile(
    r"(\.ome)?(\.zarr|\.n5|\.tiff?|\.btf|\.tf8|\.ims|\.xml|\.h5|\.hdf5|\.v3draw|\.raw)?"
    r"(\.zip)?$",
    re.IGNORECASE,
)


def absolute(text: str | Path) -> Path:
    """Return the path that a text or a ``file:`` URI names.

    Raises
    ------
    VolumeError
        If it is a URI of another machine, or of a store.
    """
    if is_remote(str(text)):
        message = (
            f"{redacted(str(text))} lies in a store, where this command does not work "
            "yet; copy it to a disk and name that"
        )
        raise VolumeError(message)
    path = Path(local_path(str(text))).expanduser().absolute()
    refuse_no_text(path)
    return path


def place(text: str | Location) -> Location:
    """Return the location that a path, a ``file:`` URI or the address of a store names.

    Raises
    ------
    VolumeError
        If it is a URI of another machine, or no address that can be read.
    """
    if isinstance(text, RemotePath):
        return text
    if is_remote(str(text)):
        return location(str(text))
    return absolute(text)


def default_output(spec: VolumeSpec) -> Path:
    """Return ``NAME.blockseg.zarr`` beside the source's outermost container.

    Raises
    ------
    ConfigError
        If the source is a glob or no file: it has no place of its own.
    """
    if any(mark in spec.uri for mark in "*?[") or "://" in spec.uri:
        message = f"{spec.uri} has no name to derive an output from; give OUT"
        raise ConfigError(message)
    return Path(spec.uri).with_name(f"{stem(spec)}.blockseg.zarr")


def stem(spec: VolumeSpec) -> str:
    """Return the name of a source without its folder and the endings of its format."""
    return _SUFFIXES.sub("", Path(spec.uri).name)


def output_of(
    spec: VolumeSpec, out: str | None, stores: StoreChoices | None = None
) -> Location:
    """Return the place to write to, after checking that it can be written.

    Raises
    ------
    ConfigError
        If source and output lie inside each other, or the output has no name.
    VolumeError
        If it cannot be made there.
    """
    if out is not None and stores is not None:
        out = addressed(out, stores, written=True)
    target = place(out) if out else default_output(spec)
    resolved = target.resolve()
    if not spec.uri.startswith("constant://"):
        source = location(spec.uri).resolve()
        if lies_in(resolved, source):
            message = f"OUT {target} lies inside SOURCE {source}; choose another place"
            raise ConfigError(message)
        if lies_in(source, resolved):
            message = f"SOURCE {source} lies inside OUT {target}; choose another place"
            raise ConfigError(message)
    if not isinstance(target, RemotePath):
        return writable(target)
    if not target.address.writable:
        message = f"OUT {target} is on a web server, which cannot be written to"
        raise VolumeError(message)
    if not target.address.key:
        message = f"OUT {target} is a whole bucket; name a place in it"
        raise VolumeError(message)
    return target


def writable(out: str | Path, what: str = "OUT") -> Path:
    """Return the absolute path of an output that can be made.

    Parameters
    ----------
    out
        Where.
    what
        How to call it in messages.

    Raises
    ------
    VolumeError
        If it cannot, as far as can be told without making it.
    """
    target = absolute(out)
    parent = target
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        message = f"{what} {target} cannot be made: {parent} is no folder"
        raise VolumeError(message)
    if not os.access(parent, os.W_OK | os.X_OK):
        message = (
            f"{what} {target} cannot be written: no permission to write in {parent}"
        )
        raise VolumeError(message)
    return target

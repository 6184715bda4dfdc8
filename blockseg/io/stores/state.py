"""Folder of this machine for the state of an output that lies in a store."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockseg.io.stores.location import RemotePath

VARIABLE = "BLOCKSEG_STATE"
"""Environment variable that names another folder for all of them."""


def local_state(out: RemotePath) -> Path:
    """Return the folder for the state of an output; the same on every call.

    Parameters
    ----------
    out
        The output, which its bucket and key name alone: through which server and with
        which credentials it is reached makes it no other one.
    """
    named = os.environ.get(VARIABLE)
    if named:
        root = Path(named).expanduser().absolute()
    else:
        base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        root = Path(base).expanduser().absolute() / "blockseg"
    address = out.address
    place = f"{address.scheme}://{address.endpoint}/{address.bucket}/{address.key}"
    digest = hashlib.sha256(place.encode()).hexdigest()[:12]
    name = re.sub(r"[^A-Za-z0-9._-]", "-", out.name)[:60]
    return root / f"{name}-{digest}"

"""Kind of the file system that holds a path."""

from __future__ import annotations

from pathlib import Path

_NETWORK = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "drvfs",
        "fhgfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "quobyte",
        "smb3",
        "smbfs",
        "virtiofs",
        "vboxsf",
        "wekafs",
    }
)


def filesystem_type(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Return the type of the file system under an existing path, as mount names it.

    Empty where the system has no ``/proc/mounts``.
    """
    try:
        text = mounts.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    resolved = path.resolve()
    best, kind = -1, ""
    for line in text.splitlines():
        _, point, found, *_ = [*line.split(), "", "", ""]
        # Spaces and the like stand as octal numbers there.
        where = Path(point.replace("\\040", " ").replace("\\011", "\t"))
        # The last of several mounts on one point is the one to be seen.
        if resolved.is_relative_to(where) and len(where.parts) >= best:
            best, kind = len(where.parts), found
    return kind


def is_network(kind: str) -> bool:
    """Return whether other machines may write to a file system of this type.

    Every FUSE file system counts as one: its locks and shared memory cannot be
    relied on.
    """
    return kind in _NETWORK or kind == "fuse" or kind.startswith("fuse.")

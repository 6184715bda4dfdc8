"""Formats of images that are known and not read, and what converts them."""

from __future__ import annotations

import itertools
import os
import re
import zipfile
from collections import Counter
from pathlib import Path

_BIO = "convert it with bioformats2raw to OME-Zarr, or with Fiji to TIFF"
_FIJI = "open it in Fiji and save it as TIFF"
_HDF5 = "Imaris and BigDataViewer are the layouts that are; copy its array with h5py to Zarr"
_TIFF_SLICES = "convert its frames to TIFF slices, as with Fiji or ImageMagick"
_UNPACK = "unpack it, and give what is in it"
_TERA = "merge it with TeraStitcher (--merge, or teraconverter) to TIFF"
_KNOSSOS = "export it with the webknossos libraries to Zarr or TIFF"
_BDV = "give the N5 or OME-Zarr that it names, or fuse it in BigStitcher to one of them"
_PICTURE = "one picture is no volume; give the folder of all its slices"
_VAA3D = "save it in Vaa3D as TIFF"
_VTK = "open it in ParaView and save its slices as TIFF"
_FREESURFER = "convert it with mri_convert to NIfTI, and that with Fiji to TIFF"
_NUMPY = "write it with tifffile.imwrite(..., metadata={'axes': 'ZYX'}) or to Zarr"

_Other = tuple[str, str]
"""Name of a format, and what to do."""

_MAGIC: tuple[tuple[int, bytes | tuple[bytes, ...], _Other], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", ("an HDF5 file of another layout", _HDF5)),
    (0, b"\xda\xce\xbe\x0a", ("a Nikon ND2 file", _BIO)),
    (0, b"\x70\x00\x00\x00", ("a Leica LIF file", _BIO)),
    (0, b"ZISRAWFILE", ("a Zeiss CZI file", _BIO)),
    (0, b"OLYMPUSRAWFORMAT", ("an Olympus OIR file", _BIO)),
    (
        0,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        ("an Olympus OIB or Zeiss ZVI file", _BIO),
    ),
    (344, b"n+1\0", ("a NIfTI file", _BIO)),
    (344, b"ni1\0", ("a NIfTI header", _BIO)),
    (4, b"n+2\0", ("a NIfTI-2 file", _BIO)),
    (128, b"DICM", ("a DICOM file", _BIO)),
    (208, b"MAP ", ("an MRC file", _BIO)),
    (96, b"\xa0\xc0", ("a DeltaVision file", _BIO)),
    (0, b"v3d_volume_pkbitdf_encod", ("a Vaa3D v3dpbd file", _VAA3D)),
    (0, b"NRRD", ("an NRRD file", _BIO)),
    (0, b"ObjectType", ("a MetaImage file", _FIJI)),
    (0, b"\x93NUMPY", ("a NumPy file", _NUMPY)),
    (0, b"WKW", ("a WEBKNOSSOS wkw file", _KNOSSOS)),
    (0, b"# AmiraMesh", ("an Amira file", _BIO)),
    (0, b"# Avizo", ("an Avizo file", _BIO)),
    (0, b"# vtk DataFile", ("a VTK file", _VTK)),
    (0, b"OMAS_BF", ("an Imspector OBF or MSR file", _BIO)),
    (0, (b"\tics_version", b"ics_version"), ("an ICS file", _BIO)),
    (0, (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"), ("one JPEG 2000 picture", _PICTURE)),
    (0, (b"\xff\x0a", b"\0\0\0\x0cJXL "), ("one JPEG XL picture", _PICTURE)),
    (0, b"\x89PNG", ("a PNG image", _FIJI)),
    (0, b"\xff\xd8\xff", ("a JPEG image", _FIJI)),
    (0, b"GIF8", ("a GIF image", _FIJI)),
    (0, b"BM", ("a BMP image", _FIJI)),
    (0, b"MATLAB 5.0", ("a MATLAB file", "write it from MATLAB as TIFF")),
    (0, (b"CDF\x01", b"CDF\x02"), ("a NetCDF file", "write it with xarray to Zarr")),
    (0, b"SIMPLE  =", ("a FITS file", _BIO)),
    (0, b"PK\x03\x04", ("a ZIP archive", _UNPACK)),
    (0, b"PK\x05\x06", ("an empty ZIP archive", _UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", ("a 7z archive", _UNPACK)),
    (0, b"Rar!", ("a RAR archive", _UNPACK)),
    (257, b"ustar", ("a tar archive", _UNPACK)),
    (0, b"\x1f\x8b", ("a gzip file", "unpack it first")),
    (0, b"BZh", ("a bzip2 file", "unpack it first")),
    (0, b"\xfd7zXZ", ("an xz file", "unpack it first")),
    (0, b"\x28\xb5\x2f\xfd", ("a Zstandard file", "unpack it first")),
    (4, b"ftyp", ("a film", _TIFF_SLICES)),
    (8, b"AVI ", ("a film", _TIFF_SLICES)),
    (0, b"\x1aE\xdf\xa3", ("a film", _TIFF_SLICES)),
)
# By name, where the content has no mark, or is one of several formats.
_ENDINGS: tuple[tuple[str | tuple[str, ...], _Other], ...] = (
    ((".nii.gz", ".nii"), ("a NIfTI file", _BIO)),
    (".nd2", ("a Nikon ND2 file", _BIO)),
    (".lif", ("a Leica LIF file", _BIO)),
    (".lof", ("a Leica LOF file", _BIO)),
    (".xlef", ("a Leica XLEF project", _BIO)),
    (".czi", ("a Zeiss CZI file", _BIO)),
    (".zvi", ("a Zeiss ZVI file", _BIO)),
    (".oib", ("an Olympus OIB file", _BIO)),
    (".oif", ("an Olympus OIF file", _BIO)),
    (".oir", ("an Olympus OIR file", _BIO)),
    (".vsi", ("an Olympus VSI file", _BIO)),
    (".ets", ("the pixels of an Olympus VSI file", _BIO)),
    (".ims", ("no Imaris file of version 5.5, which is HDF5", _BIO)),
    ((".h5", ".hdf5"), ("an HDF5 file of another layout", _HDF5)),
    ((".tdb", ".xg"), ("a file of TeraStitcher", _TERA)),
    (".lsm", ("no LSM file that is TIFF", _BIO)),
    (".klb", ("a Keller Lab Block file (KLB)", _BIO)),
    (".mgz", ("a FreeSurfer MGZ file", _FREESURFER)),
    (".mgh", ("a FreeSurfer MGH file", _FREESURFER)),
    (".mrc", ("an MRC file", _BIO)),
    ((".dm3", ".dm4"), ("a Gatan Digital Micrograph file", _BIO)),
    (".dv", ("a DeltaVision file", _BIO)),
    ((".sld", ".sldy"), ("a SlideBook file", _BIO)),
    ((".mhd", ".mha"), ("a MetaImage file", _FIJI)),
    (".nhdr", ("an NRRD header", _BIO)),
    (".ics", ("an ICS file", _BIO)),
    (".ids", ("the pixels of an ICS file", _BIO)),
    (".hdr", ("a header of the Analyze or NIfTI format", _BIO)),
    (".img", ("the pixels of the Analyze or NIfTI format", _BIO)),
    (".dcm", ("a DICOM file", _BIO)),
    (".jp2", ("no JPEG 2000 picture", _BIO)),
    (".v3draw", ("no Vaa3D raw stack, whatever its name says", _VAA3D)),
    (".v3dpbd", ("a Vaa3D v3dpbd file", _VAA3D)),
    (".b2nd", ("a Blosc2 array", "write it with the blosc2 package and zarr to Zarr")),
    ((".raw", ".bin"), ("raw voxels", "import it into Fiji (File > Import > Raw) and save TIFF")),
)  # fmt: skip
_ENOUGH = 512  # bytes that hold every mark
_LOOKED_AT = 16  # files, or folders, of a folder
_LISTED = 12
_TERAFLY = re.compile(r"RES\(\d+x\d+x\d+\)")
_TERASTITCHER = re.compile(r"\d{6}(_\d{6})?")


def other_file(path: Path) -> str:
    """Return the kind of a file and what converts it; empty if that is not known.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(_ENOUGH)
    if not start:
        return "empty"
    found = _by_content(path, start) or _by_ending(path)
    return "" if found is None else f"{found[0]}, which is not read; {found[1]}"


def marked_folder(path: Path) -> str:
    """Return the kind of a folder, by the file at the top of formats of many files.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    found: _Other | None = None
    if any((path / n).is_file() for n in ("header.wkw", "datasource-properties.json")):
        found = ("a WEBKNOSSOS dataset", _KNOSSOS)
    elif (path / "knossos.conf").is_file() or any(path.glob("*.k.toml")):
        found = ("a Knossos dataset", _KNOSSOS)
    elif (path / "ImageRecord.yaml").is_file():
        found = ("a SlideBook image", _BIO)
    elif _TERAFLY.fullmatch(path.name) or any(map(_TERAFLY.fullmatch, _folders(path))):
        found = ("a TeraFly volume of TeraStitcher", _TERA)
    elif all(map(_TERASTITCHER.fullmatch, _folders(path) or ["none"])):
        found = ("a folder of TeraStitcher's tiles", _TERA)
    return "" if found is None else f"{found[0]}, which is not read; {found[1]}"


def folder_of_others(path: Path) -> str:
    """Return the contents of a folder without a volume, in words; empty if not known.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    folders = _folders(path)
    with os.scandir(path) as entries:
        names = [e.path for e in entries if e.name[0] != "." and e.is_file()]
    kinds = Counter(
        filter(None, map(other_file, map(Path, sorted(names)[:_LOOKED_AT])))
    )
    if kinds:
        ((kind, _),) = kinds.most_common(1)
        return f"a folder of other files: {Path(_first(names, kind)).name} is {kind}"
    named = [n for n in folders if n.lower().endswith((".zarr", ".n5"))]
    if named:
        return f"a folder of {', '.join(named[:_LISTED])}; give one of them"
    inner = (_with_tiffs(path / name) for name in folders[:_LOOKED_AT])
    tiled = [folder.relative_to(path).as_posix() for folder in inner if folder]
    if tiled:
        listed = ", ".join(tiled[:_LISTED])
        return (
            f"a folder of folders of TIFF files ({listed}); give one of them, or a glob"
        )
    return ""


def _by_content(path: Path, start: bytes) -> _Other | None:
    text = start.lstrip(b"\xef\xbb\xbf \r\n\t")
    if text.startswith(b"<"):
        return _xml(start)
    for offset, marks, other in _MAGIC:
        if not start.startswith(marks, offset):
            continue
        ending = _by_ending(path)
        if "ZIP" in other[0]:
            return _archive(path, other)
        named = ending is not None and ("HDF5" in other[0] or "gzip" in other[0])
        return ending if named else other
    return None


def _by_ending(path: Path) -> _Other | None:
    name = path.name.lower()
    return next((other for ends, other in _ENDINGS if name.endswith(ends)), None)


def _xml(start: bytes) -> _Other | None:
    if b"<SpimData" in start:
        return ("a BigDataViewer project", _BDV)
    if b"TeraStitcher" in start:
        return ("a TeraStitcher project", _TERA)
    if b"<VTKFile" in start:
        return ("a VTK file", _VTK)
    if b"<OME" in start:
        return ("the metadata of an OME-TIFF", "give the TIFF files beside it")
    return None


def _archive(path: Path, other: _Other) -> _Other:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError):
        return other
    marks = ("zarr.json", ".zarray", ".zgroup")
    if any(name.rpartition("/")[2] in marks for name in names):
        return ("a Zarr in a ZIP archive", "unpack it with unzip, and give the folder")
    if any(name.endswith(".npy") for name in names):
        return ("a NumPy archive", _NUMPY)
    return other


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(e.name for e in entries if e.name[0] != "." and e.is_dir())


def _with_tiffs(folder: Path, deeper: int = 3) -> Path | None:
    """Return a folder itself, or the first of those below it, if it holds TIFF files."""
    with os.scandir(folder) as entries:
        some = [e for e in itertools.islice(entries, _LOOKED_AT) if e.name[0] != "."]
    if any(e.name.lower().endswith((".tif", ".tiff", ".btf")) for e in some):
        return folder
    below = min((e.path for e in some if e.is_dir()), default="")
    return _with_tiffs(Path(below), deeper - 1) if below and deeper else None


def _first(names: list[str], kind: str) -> str:
    return next(name for name in sorted(names) if other_file(Path(name)) == kind)

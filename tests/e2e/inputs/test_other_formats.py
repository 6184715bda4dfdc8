import zipfile

import numpy as np
import pytest
import tifffile
import zarr

from blockseg.core.errors import VolumeError
from blockseg.io.find import find


def at(offset, mark):
    return bytes(offset) + mark + bytes(600)


FILES = {
    "a.nd2": (b"\xda\xce\xbe\x0a", "ND2", "bioformats2raw"),
    "a.lif": (b"\x70\0\0\0", "LIF", "bioformats2raw"),
    "a.czi": (b"ZISRAWFILE", "CZI", "bioformats2raw"),
    "a.oir": (b"OLYMPUSRAWFORMAT", "OIR", "bioformats2raw"),
    "a.oib": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OIB", "bioformats2raw"),
    "a.vsi": (b"something", "VSI", "bioformats2raw"),
    "preview.vsi": (b"II*\0\x08\0\0\0", "VSI", "bioformats2raw"),
    "a.vti": (b'<?xml version="1.0"?>\n<VTKFile type="ImageData">', "VTK", "ParaView"),
    "a.mgz": (b"\x1f\x8b", "MGZ", "mri_convert"),
    "a.msr": (b"OMAS_BF\n", "MSR", "bioformats2raw"),
    "a.mkv": (b"\x1aE\xdf\xa3", "film", "frames"),
    "a.nii": (at(344, b"n+1\0"), "NIfTI", "Fiji"),
    "no_ending": (at(344, b"n+1\0"), "NIfTI", "Fiji"),
    "a.nii.gz": (b"\x1f\x8b", "NIfTI", "Fiji"),
    "a.gz": (b"\x1f\x8b", "gzip", "unpack"),
    "a.dcm": (at(128, b"DICM"), "DICOM", "bioformats2raw"),
    "a.rec": (at(208, b"MAP "), "MRC", "bioformats2raw"),
    "a.ims": (b"something else", "Imaris", "bioformats2raw"),
    "a.h5": (b"something else", "HDF5", "h5py"),
    "a.klb": (b"\x02\0\0", "KLB", "bioformats2raw"),
    "a.jp2": (b"\0\0\0\x0cjP  \r\n", "JPEG 2000", "folder of all its slices"),
    "a.jxl": (b"\xff\x0a\0\0", "JPEG XL", "folder of all its slices"),
    "a.v3draw": (b"something else", "Vaa3D", "TIFF"),
    "a.v3dpbd": (b"v3d_volume_pkbitdf_encod", "v3dpbd", "Vaa3D"),
    "a.tdb": (b"something", "TeraStitcher", "merge"),
    "a.nrrd": (b"NRRD0004", "NRRD", "Fiji"),
    "a.npy": (b"\x93NUMPY\x01", "NumPy", "tifffile"),
    "a.wkw": (b"WKW\x01", "wkw", "webknossos"),
    "a.xml": (
        b'<?xml version="1.0"?>\n<SpimData version="0.2"></SpimData>', "BigDataViewer", "fuse",
    ),
    "b.xml": (b"<!DOCTYPE TeraStitcher SYSTEM>", "TeraStitcher", "--merge"),
    "a.png": (b"\x89PNG\r\n", "PNG", "TIFF"),
    "a.raw": (b"\0\1\2\3", "raw voxels", "Fiji"),
}  # fmt: skip


def refusal(path):
    with pytest.raises(VolumeError) as caught:
        find(path)
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_known_format_that_is_not_read_is_named_with_what_converts_it(tmp_path, name):
    content, format_, remedy = FILES[name]
    (tmp_path / name).write_bytes(content)
    said = refusal(tmp_path / name)
    assert format_ in said
    assert remedy in said
    assert "\n" not in said


def test_an_archive_of_other_things_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("b.txt", "x")
    assert "ZIP archive" in refusal(tmp_path / "b.zip")


def put(folder, name, content=b"x"):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def test_folders_of_other_formats_are_named(tmp_path):
    put(tmp_path / "wk", "datasource-properties.json", b"{}")
    put(tmp_path / "wkw", "header.wkw", b"WKW\x01")
    put(tmp_path / "knossos", "knossos.conf")
    put(tmp_path / "terafly", "RES(10x20x30)/vmap.bin")
    put(tmp_path / "tera", "000000/000000_000000/000000_000000_000000.raw")
    put(tmp_path / "dicom", "IM0001", at(128, b"DICM"))
    put(tmp_path / "png", "z0.png", b"\x89PNG\r\n")
    said = {
        "wk": ("WEBKNOSSOS", "export"),
        "wkw": ("WEBKNOSSOS", "export"),
        "knossos": ("Knossos", "export"),
        "terafly": ("TeraFly", "merge"),
        "tera": ("TeraStitcher", "merge"),
        "dicom": ("DICOM", "IM0001"),
        "png": ("PNG", "z0.png"),
    }
    for name, parts in said.items():
        assert all(part in refusal(tmp_path / name) for part in parts), name


def test_a_folder_of_volumes_names_them(tmp_path):
    zarr.create_array(
        tmp_path / "z/a.zarr", shape=(8,) * 3, chunks=(8,) * 3, dtype="u2"
    )
    assert "a.zarr; give one" in refusal(tmp_path / "z")
    for tile in "ab":
        (tmp_path / "t" / tile).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "t" / tile / "0.tif", np.ones((8, 8), "u2"))
    assert "folders of TIFF files (a, b); give one" in refusal(tmp_path / "t")


def test_slices_some_folders_below_are_named_with_their_folders(tmp_path):
    for laser in ("Ex_488", "Ex_561"):
        folder = tmp_path / "t" / laser / "430160" / "430160_354210"
        folder.mkdir(parents=True)
        tifffile.imwrite(folder / "000010.tif", np.zeros((4, 4), "u2"))
        (tmp_path / "t" / laser / "metadata.txt").write_text("none")
    message = refusal(tmp_path / "t")
    assert "(Ex_488/430160/430160_354210, Ex_561/430160/430160_354210)" in message


def test_every_command_names_a_format_that_is_not_read(tmp_path, refused):
    (tmp_path / "brain.czi").write_bytes(b"ZISRAWFILE" + bytes(100))
    refused(tmp_path / "brain.czi", "Zeiss CZI", "bioformats2raw")

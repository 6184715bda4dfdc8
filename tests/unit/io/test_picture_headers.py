import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockseg.io.formats.picture_headers import is_picture, read_picture_header


@settings(max_examples=40)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from(["uint8", "uint16"]),
    st.sampled_from([1, 3]),
    st.booleans(),
)
def test_a_header_says_what_the_decoder_gives(y, x, dtype, samples, boxes):
    shape = (y, x) if samples == 1 else (y, x, samples)
    picture = np.zeros(shape, dtype)
    made = {
        "jpegxl": bytes(
            imagecodecs.jpegxl_encode(picture, lossless=True, usecontainer=boxes)
        ),
        "jpeg2000": bytes(
            imagecodecs.jpeg2k_encode(
                picture, level=0, codecformat="jp2" if boxes else "j2k"
            )
        ),
    }
    for codec, encoded in made.items():
        assert is_picture(encoded)
        header = read_picture_header(encoded[: 2**16])
        assert header.codec == codec
        assert header.shape == (y, x)
        assert header.dtype == dtype
        assert header.samples == samples


@pytest.mark.parametrize("shape", [(64, 128), (40, 60), (720, 1280), (3000, 4000)])
def test_sizes_that_jpeg_xl_writes_short_are_read(shape):
    encoded = imagecodecs.jpegxl_encode(np.zeros(shape, "u1"), lossless=True)
    assert read_picture_header(bytes(encoded[:64])).shape == shape


def test_floats_of_jpeg_xl_are_told():
    encoded = imagecodecs.jpegxl_encode(np.zeros((9, 7), "f4"), lossless=True)
    header = read_picture_header(bytes(encoded))
    assert header.dtype == np.dtype("float32")
    assert header.samples == 1


@pytest.mark.parametrize("start", [b"", b"\xff\x0a", b"none", b"\xff\x4f\xff\x51\0"])
def test_what_is_no_header_is_refused(start):
    with pytest.raises(ValueError, match="header"):
        read_picture_header(start)

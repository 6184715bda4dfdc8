"""An S3 server on loopback, and small volumes to put there."""

import logging
from collections.abc import Iterator
from pathlib import Path

import boto3
import numpy as np
import pytest
import zarr
from moto.server import ThreadedMotoServer

from tests.e2e.stores.servers import BUCKET, Forwarding, Way, serving


@pytest.fixture(autouse=True)
def _platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give keys as the platform would, and a folder for what is known of outputs."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("BLOCKSEG_STATE", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of an S3 server that has an empty bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket=BUCKET)
    yield endpoint
    client.close()
    server.stop()


@pytest.fixture
def s3(s3_server: str) -> Iterator[Way]:
    """The way to the S3 server."""
    way = Way("", s3_server)
    with serving(type("Handler", (Forwarding,), {"way": way})) as way.endpoint:
        yield way


@pytest.fixture(scope="session")
def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, (64, 96, 128)).astype("uint16")


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory, voxels: np.ndarray) -> Path:
    """A folder with the same voxels as Zarr v2, Zarr v3 in shards, and N5."""
    root = tmp_path_factory.mktemp("stores")
    for name, version, shards in (("v2", 2, None), ("v3", 3, (32, 64, 64))):
        array = zarr.create_array(
            root / name,
            shape=voxels.shape,
            chunks=(16, 32, 32),
            shards=shards,
            dtype="uint16",
            zarr_format=version,  # type: ignore[arg-type]
            compressors=None,
        )
        array[:] = voxels
    _write_n5(root / "n5", voxels)
    return root


def _write_n5(folder: Path, voxels: np.ndarray) -> None:
    """Write N5 by its specification: blocks with x first, big-endian, raw."""
    block = (32, 32, 32)
    folder.mkdir()
    (folder / "attributes.json").write_text(
        '{"n5": "2.0.0", "dimensions": [128, 96, 64], "blockSize": [32, 32, 32], '
        '"dataType": "uint16", "compression": {"type": "raw"}}'
    )
    for z, y, x in np.ndindex(2, 3, 4):
        part = voxels[32 * z : 32 * z + 32, 32 * y : 32 * y + 32, 32 * x : 32 * x + 32]
        header = np.array([0, 3], ">u2").tobytes() + np.array(block, ">u4").tobytes()
        file = folder / str(x) / str(y) / str(z)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(header + part.astype(">u2").tobytes())

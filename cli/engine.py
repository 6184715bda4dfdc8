"""``blockseg engine``: build, list, check and remove TensorRT engines."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from blockseg.core.text import counted

if TYPE_CHECKING:
    from blockseg.engine_commands import EngineRow

_WEIGHTS = click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Safetensors; else the shipped ones.",
)


@click.group()
def engine() -> None:
    """Build, list, check and remove TensorRT engines.

    A run builds the engines that it needs when it needs them. They are kept in
    BLOCKSEG_CACHE, or else in ~/.cache/blockseg. More: docs/gpu.md.
    """


@engine.command()
@_WEIGHTS
@click.option(
    "--window",
    default="128",
    metavar="Z,Y,X",
    help="Voxels an inference writes, as `blockseg plan` says. [128]",
)
@click.option(
    "--precision", default="float16", metavar="NAME", help="float16 or float32."
)
@click.option(
    "--arch",
    metavar="SM,...",
    help="Other cards than this machine's, as in sm86,sm89: TensorRT-RTX only.",
)
@click.option("--library", metavar="NAME", help="tensorrt or tensorrt_rtx. [auto]")
def build(
    weights: Path | None,
    window: str,
    precision: str,
    arch: str | None,
    library: str | None,
) -> None:
    """Build engines ahead of a run, unless they exist."""
    from blockseg.config.values import parse_shape
    from blockseg.engine_commands import build_engines, parse_targets

    targets = () if arch is None else parse_targets(arch)
    shape = parse_shape("window", window)
    _show(build_engines(weights, shape, precision, targets, library))


@engine.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List engines, with their purpose and whether they can be used here."""
    from blockseg.engine_commands import list_engines

    rows = list_engines()
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        _show(rows)


@engine.command()
@_WEIGHTS
def verify(weights: Path | None) -> None:
    """Check the bytes of all engines; run those for this card on a synthetic window."""
    from blockseg.core.errors import BackendError
    from blockseg.engine_commands import verify_engines

    rows = verify_engines(weights)
    _show(rows)
    bad = sum(row.state in ("damaged", "wrong") for row in rows)
    if bad:
        message = (
            f"{bad} of {len(rows)} engines are damaged or wrong; after "
            "`blockseg engine clean --all` they are built again when needed"
        )
        raise BackendError(message)


@engine.command()
@click.option("--stale", is_flag=True, help="Stale and damaged ones.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
def clean(stale: bool, everything: bool) -> None:
    """Remove engines."""
    from blockseg.engine_commands import clean_engines

    if stale == everything:
        message = "say which: --stale or --all"
        raise click.UsageError(message)
    rows = clean_engines(everything=everything)
    size = sum(row.size for row in rows) / 1e6
    click.echo(f"removed {counted(len(rows), 'engine')}, {size:.1f} MB")


def _show(rows: list[EngineRow]) -> None:
    for row in rows:
        click.echo(row.line())
    if not rows:
        click.echo("no engines")

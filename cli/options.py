"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from blockseg.config.presets import load_config
from blockseg.config.settings import RunSettings, settings_from

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "RUN_OPTIONS",
    "SOURCE_OPTIONS",
    "settings_of",
    "with_options",
    "without_config",
]

_Option = tuple[tuple[str, ...], dict[str, Any]]

SOURCE_OPTIONS: tuple[_Option, ...] = (
    (("--level",), {"metavar": "N", "help": "Resolution level to read, 0 the finest."}),
    (("--dataset",), {"metavar": "PATH", "help": "Array inside a container."}),
    (("--channel",), {"metavar": "N", "help": "Channel, where there are several."}),
    (
        ("--timepoint",),
        {"metavar": "N", "help": "Time point, where there are several."},
    ),
    (
        ("--voxel-size",),
        {"metavar": "Z,Y,X", "help": "In µm; else from the metadata."},
    ),
    (
        ("--axes",),
        {"metavar": "TCZYX", "help": "A letter an axis; else from the metadata."},
    ),
    (
        ("--as", "--stored-as", "stored_as"),
        {"metavar": "TYPE", "help": "What the bits are: uint16 behind an int16 type."},
    ),
    (
        ("--allow-gaps",),
        {
            "is_flag": True,
            "default": None,
            "help": "Read missing slices of a folder as empty planes.",
        },
    ),
    (
        ("--allow-empty",),
        {
            "is_flag": True,
            "default": None,
            "help": "Take a source of which no voxel is stored.",
        },
    ),
)

RUN_OPTIONS: tuple[_Option, ...] = (
    *SOURCE_OPTIONS,
    (("--roi",), {"metavar": "Z:Z,Y:Y,X:X", "help": "Region to segment, in voxels."}),
    (
        ("--mask",),
        {"metavar": "VOLUME", "help": "Segment where this is not 0; any resolution."},
    ),
    (
        ("--weights",),
        {"metavar": "FILE", "help": "Safetensors; else the shipped ones."},
    ),
    (
        ("--normalization",),
        {
            "metavar": "HOW",
            "help": "robust (default), field, published, or B,S in grey levels.",
        },
    ),
    (
        ("--threshold",),
        {"metavar": "P", "help": "Probability from which a voxel counts. [0.5]"},
    ),
    (
        ("--backend",),
        {
            "metavar": "NAME",
            "help": "auto, tensorrt, cuda, torch, openvino or fake.",
        },
    ),
    (("--device",), {"metavar": "NAME", "help": "auto, cpu or cuda."}),
    (
        ("--precision",),
        {"metavar": "NAME", "help": "auto, float16, float32 or float64."},
    ),
    (("--block",), {"metavar": "Z,Y,X", "help": "Unit of work, in voxels. [auto]"}),
    (("--window",), {"metavar": "Z,Y,X", "help": "Voxels an inference writes. [auto]"}),
    (("--halo",), {"metavar": "N", "help": "Voxels read around a block. [auto]"}),
    (
        ("--inexact",),
        {"is_flag": True, "default": None, "help": "Allow a halo that makes seams."},
    ),
    (
        ("--sparse",),
        {
            "is_flag": True,
            "default": None,
            "help": "Skip what is empty; at most 0.1 % of the foreground is lost.",
        },
    ),
    (
        ("--exhaustive",),
        {
            "is_flag": True,
            "default": None,
            "help": "Skip nothing, whatever a preset says.",
        },
    ),
    (
        ("--zarr-format",),
        {"metavar": "N", "help": "3: OME-Zarr 0.5 (default); 2: 0.4."},
    ),
    (("--codec",), {"metavar": "NAME", "help": "Compression of OUT. [blosc-zstd]"}),
    (
        ("--metrics/--no-metrics",),
        {"default": None, "help": "Measure blocks for propose-annotations. [on]"},
    ),
    (
        ("--dhpr",),
        {
            "metavar": "HOW",
            "help": "Formulas of OUT/blocks: extended (default) or published.",
        },
    ),
    (("--attempts",), {"metavar": "N", "help": "Tries a block gets. [3]"}),
    (
        ("--scheduler",),
        {
            "metavar": "ADDRESS",
            "help": "tcp://… of a Dask cluster, or serial; else own.",
        },
    ),
    (("--workers",), {"metavar": "N", "help": "Worker processes. [auto]"}),
    (("--threads",), {"metavar": "N", "help": "Threads of one inference. [auto]"}),
    (("--memory",), {"metavar": "SIZE", "help": "For all workers, as in 64GB. [85 %]"}),
    (("--ledger",), {"metavar": "FILE", "help": "Ledger outside OUT."}),
    (
        ("--verify",),
        {
            "is_flag": True,
            "default": None,
            "help": "Read what OUT holds, and make anew what is damaged.",
        },
    ),
)


def without_config(
    options: tuple[_Option, ...],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds ``options`` to a command."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for names, attributes in reversed(options):
            function = click.option(*names, **attributes)(function)
        return function

    return decorate


def with_options(
    options: tuple[_Option, ...],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds ``options`` and ``--config`` to a command."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        return click.option(
            "--config",
            multiple=True,
            metavar="FILE|PRESET",
            help="YAML settings; the command line wins over them.",
        )(without_config(options)(function))

    return decorate


def settings_of(config: tuple[str, ...], options: dict[str, Any]) -> RunSettings:
    """Merge presets, files and the command line, the later over the earlier."""
    given = {name: value for name, value in options.items() if value is not None}
    return settings_from(*(load_config(name) for name in config), given)

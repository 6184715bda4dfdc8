"""``blockseg train``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

import click

from blockseg.config.declare import declared
from blockseg.config.merging import read_settings
from blockseg.config.presets import load_config
from blockseg.config.train_settings import TrainSettings
from blockseg.core.errors import NoSpaceError

from .options import ManyOptions, click_options, given, placed, with_options

INCOMPLETE = 3
_TAIL = ("device", "threads", "workers", "checkpoint_every", "tensorboard")
_LENGTH = ("steps", "time", "batch", "patch", "seed")
_SHOWN = placed(declared(TrainSettings), "loss", *_LENGTH)
OPTIONS = click_options(TrainSettings, placed(_SHOWN, "licence", *_TAIL))


@click.command(cls=ManyOptions)
@click.argument("data", nargs=-1, required=True)
@click.option("-o", "--output", "out", required=True, metavar="RUN", help="Folder.")
@with_options(OPTIONS)
@click.option(
    "--resume", is_flag=True, help="Resume, or fail if there is nothing to resume."
)
@click.option("--overwrite", is_flag=True, help="Start over if RUN has a training.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines.")
def train(
    data: tuple[str, ...],
    out: str,
    config: tuple[str, ...],
    resume: bool,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train or fine-tune a network on DATA.

    DATA is a folder with image/NAME.tif and label/NAME.tif, an OME-Zarr image with
    labels, or synth:NAME for synthetic brains; several are mixed. Labels are 0
    background, 1 neurite, 255 not labelled. The same command again resumes a
    training that was stopped. RUN gets best.safetensors, last.safetensors, report.html,
    log.csv and what is needed to resume. Several GPUs: torchrun
    --nproc-per-node N -m blockseg_cli train ...

    Exit codes: 0 done; 1 bad input or settings, or a loss that is not a number;
    3 the disk is full, RUN cannot be written any more or a process died; 130 interrupted.
    """
    from blockseg.training.run import train as learn

    from .train_progress import print_result, watcher

    layers = [load_config(name) for name in config]
    settings = read_settings(TrainSettings, *layers, given(options))
    command = click.get_current_context().obj
    if os.environ.get("RANK", "0") != "0":
        quiet, as_json = True, False  # of those that torchrun started one talks
    try:
        with watcher(quiet=quiet, as_json=as_json) as watch:
            result = learn(
                data,
                out,
                settings,
                overwrite=overwrite,
                resume=resume,
                on_event=watch,
                command=command,
            )
    except NoSpaceError as error:  # of the first files
        click.echo(f"Stopped: {error}", err=True)
        click.get_current_context().exit(INCOMPLETE)
    if as_json:
        said = {"event": "result", **asdict(result), "out": str(result.out)}
        click.echo(json.dumps(said))
    elif not quiet or not result.complete:
        print_result(result)
    if not result.complete:
        click.get_current_context().exit(INCOMPLETE)

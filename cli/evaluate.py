"""``blockseg evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from blockseg.evaluation.settings import EvaluateSettings

__all__ = ["evaluate"]


@click.command()
@click.argument("prediction", metavar="PRED")
@click.argument("truth", metavar="TRUTH...", nargs=-1, required=True)
@click.option(
    "--tolerance", default="2", metavar="R", help="Voxels, or as in 1.5um. [2]"
)
@click.option(
    "--threshold", metavar="P", help="Of the probability; else PRED is a mask."
)
@click.option("--label-map", metavar="FROM:TO,…", help="TO: 0, 1 or 255 (ignored).")
@click.option(
    "--ignore", default="auto", metavar="N", help="Label that does not count, or none."
)
@click.option(
    "--roi", metavar="Z:Z,Y:Y,X:X", help="Region to score, in voxels of PRED."
)
@click.option("--voxel-size", metavar="Z,Y,X", help="In µm; else from the metadata.")
@click.option("--swc-unit", default="um", metavar="UNIT", help="um or voxels. [um]")
@click.option("--snr", metavar="CSV", help="Table label,snr for the labels of TRUTH.")
@click.option("--snr-bins", default="1,2,4", metavar="A,B,…", help="[1,2,4]")
@click.option("--block", metavar="Z,Y,X", help="Unit of work, in voxels. [auto]")
@click.option("--workers", metavar="N", help="Blocks at a time. [cores]")
@click.option("--seed", default="0", metavar="N", help="Of the bootstrap.")
@click.option("--json", "json_file", metavar="FILE", help="Write everything as JSON.")
@click.option("--csv", "csv_file", metavar="FILE", help="Write a row for each block.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def evaluate(
    prediction: str,
    truth: tuple[str, ...],
    json_file: str | None,
    csv_file: str | None,
    quiet: bool,
    **options: str | None,
) -> None:
    """Score the segmentation PRED against TRUTH.

    PRED is the output of a run, a mask or a probability; TRUTH an annotation, a
    synthetic brain, or SWC files. What the numbers mean: docs/evaluate.md.
    """
    from blockseg.evaluation.report import as_csv, check_report, json_text, write_report
    from blockseg.evaluation.run import evaluate as score

    from .scores import bar, print_scores

    settings = _settings(options)
    for file in filter(None, (json_file, csv_file)):
        check_report(file)
    with bar(quiet=quiet) as on_block:
        result = score(prediction, truth, settings, on_block=on_block)
    if json_file:
        write_report(json_file, json_text(result))
    if csv_file:
        write_report(csv_file, as_csv(result))
    if not quiet:
        print_scores(result)


def _settings(options: dict[str, str | None]) -> EvaluateSettings:
    from blockseg.config import values
    from blockseg.evaluation.settings import (
        EvaluateSettings,
        parse_ignore,
        parse_snr_bins,
        parse_tolerance,
    )

    readers: dict[str, Callable[[str, str], object]] = {
        "tolerance": parse_tolerance,
        "threshold": values.parse_float(1 / 255, 1.0),
        "label_map": values.parse_label_map,
        "ignore": parse_ignore,
        "roi": values.parse_roi,
        "voxel_size": values.parse_vector,
        "swc_unit": values.parse_choice("um", "voxels"),
        "snr": values.parse_text,
        "snr_bins": parse_snr_bins,
        "block": values.parse_shape,
        "workers": values.parse_int(1),
        "seed": values.parse_int(0),
    }
    given = {
        name: readers[name](name.replace("_", "-"), value)
        for name, value in options.items()
        if value is not None
    }
    return EvaluateSettings(**given)  # type: ignore[arg-type]

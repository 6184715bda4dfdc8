"""``blockseg evaluate``."""

from __future__ import annotations

import click

from blockseg.config.evaluate_settings import EvaluateSettings
from blockseg.config.merging import read_settings

from .options import click_options, without_config


@click.command()
@click.argument("prediction", metavar="PRED")
@click.argument("truth", metavar="TRUTH...", nargs=-1, required=True)
@without_config(click_options(EvaluateSettings))
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
    from blockseg.evaluation.report import as_csv, as_json, check_report, write_report
    from blockseg.evaluation.run import evaluate as score

    from .scores import bar, print_scores

    settings = read_settings(EvaluateSettings, options, automatic=False)
    for file in filter(None, (json_file, csv_file)):
        check_report(file)
    with bar(quiet=quiet) as on_block:
        result = score(prediction, truth, settings, on_block=on_block)
    if json_file:
        write_report(json_file, as_json(result))
    if csv_file:
        write_report(csv_file, as_csv(result))
    if not quiet:
        print_scores(result)

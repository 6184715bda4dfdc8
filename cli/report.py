"""``blockseg report``."""

from __future__ import annotations

import click


@click.command()
@click.argument("out")
def report(out: str) -> None:
    """Write the report of OUT again: OUT/report.html, one self-contained page.

    run, label and skeletonize also write it when they end, unless --no-report is given. More:
    docs/report.md.
    """
    from blockseg.reports.write import write_report

    click.echo(write_report(out))

"""``blockseg report``."""

from __future__ import annotations

import click


@click.command()
@click.argument("out")
def report(out: str) -> None:
    """Write the report of OUT anew: OUT/report.html, one page that needs nothing else.

    run, label and skeletonize write it at their end, unless --no-report is given. More:
    docs/report.md.
    """
    from blockseg.reports.write import write_report

    click.echo(write_report(out))

"""Last lines of commands that make objects of a result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from blockseg.core.text import counted

from .outcome import print_result, result_as_json

if TYPE_CHECKING:
    from blockseg.labelling.run import Labelled


def show_labelled(found: Labelled, *, quiet: bool, as_json: bool) -> None:
    """Print what ``blockseg label`` found."""
    if as_json:
        numbers = {
            "objects": found.objects,
            "clean": found.clean,
            "length_um": found.length_um,
            "somata": found.somata,
            "notes": found.notes,
        }
        click.echo(json.dumps(result_as_json(found.result) | numbers))
    elif not found.complete:
        print_result(found.result)
    elif not quiet:
        click.echo(_line(found))
        if found.somata is not None:
            bodies = "soma" if found.somata == 1 else "somata"
            click.echo(f"Found {found.somata} {bodies}: tables/somata.csv.")
        for note in found.notes:
            click.echo(f"Note: {note}.")
        click.echo(f"Result: {found.result.out}")


def _line(found: Labelled) -> str:
    line = f"Done: {counted(found.objects, 'object')}, {found.clean} of them clean"
    if found.length_um is None:
        return f"{line}."
    length = f"{found.length_um:,.0f} µm"
    if found.length_um >= 1e4:
        length = f"{found.length_um / 1000:,.4g} mm"
    return f"{line}, about {length} long together."

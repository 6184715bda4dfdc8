"""``blockseg weights``: import, list and show weights."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def weights() -> None:
    """Import, list and show weights."""


@weights.command("import")
@click.argument("published", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def import_(published: Path, out: Path) -> None:
    """Read the PUBLISHED checkpoint and write it as safetensors to OUT."""
    from blockseg.weight_commands import import_weights

    info = import_weights(published, out)
    click.echo(f"{out}: {info.name}, width {info.width}")


@weights.command("list")
def list_() -> None:
    """List the weights that ship, by the names that --weights takes."""
    from blockseg.weight_commands import list_weights

    for name, purpose, scores in list_weights():
        click.echo(name)
        click.echo(f"  for     {purpose}")
        click.echo(f"  scores  {scores}")
    click.echo("Take them by name: blockseg run BRAIN --weights dendrites")


@weights.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
def show(file: Path | None) -> None:
    """Show what is stored about FILE, about weights that ship by name, or about the default."""
    from blockseg.weight_commands import show_weights

    for name, value in show_weights(file).items():
        click.echo(f"{name}: {value}")

"""``blockseg submit``."""

from __future__ import annotations

from pathlib import Path

import click

from blockseg.config.presets import parse_cluster
from blockseg.core.errors import ConfigError
from blockseg.core.places import local_path

_TAKES = ("run", "label", "skeletonize", "metrics", "convert", "finalize", "retry")


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--cluster",
    "name",
    required=True,
    metavar="NAME|FILE",
    help="Preset, or YAML file.",
)
@click.option("--dry-run", is_flag=True, help="Print the script; submit nothing.")
@click.option(
    "--script", metavar="FILE", help="Where to write it. [./blockseg-submit.sh]"
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
def submit(
    name: str, dry_run: bool, script: str | None, command: tuple[str, ...]
) -> None:
    """Run the driver of COMMAND as a batch job, which submits the workers' jobs itself.

    COMMAND is a blockseg command without `blockseg`, as in: blockseg submit --cluster
    my-slurm.yaml run brain.zarr. Shortly before its time is over, the job saves its state
    and queues itself again.
    """
    from blockseg.config.presets import load_cluster
    from blockseg.runtime.clusters.driver_job import driver_script, submitted

    if command[0] not in _TAKES:
        message = f"submit takes {', '.join(_TAKES)}, not {command[0]!r}"
        raise ConfigError(message)
    if any(word.split("=")[0] == "--cluster" for word in command):
        message = "--cluster stands before the command that is submitted, once"
        raise ConfigError(message)
    place = parse_cluster("cluster", name)
    settings = load_cluster(place)
    _check(command)
    path = Path(script or "blockseg-submit.sh").expanduser().absolute()
    text = driver_script(settings, [*command, "--cluster", place], path)
    if dry_run:
        click.echo(text, nl=False)
        return
    try:
        if settings.logs is not None:  # SLURM makes no folders, and its job then fails
            Path(settings.logs).expanduser().mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"--script {path}: {error.strerror or error}; name another file"
        raise ConfigError(message) from error
    click.echo(f"{path}: {submitted(settings, path)}")


def _check(command: tuple[str, ...]) -> None:
    """Refuse now what the job would refuse after its time in the queue.

    Raises
    ------
    ConfigError
        If the source is not here.
    click.UsageError
        If an option of the command does not exist, or an argument is missing.
    """
    name, *words = command
    context = click.get_current_context().find_root()
    group = context.command
    found = group.get_command(context, name) if isinstance(group, click.Group) else None
    if found is None:
        return
    source = found.make_context(name, list(words)).params.get("source")
    if isinstance(source, str) and not _may_be_there(source):
        message = (
            f"{source}: there is nothing here by that name; it must lie where this "
            "machine and all nodes see it under the same path"
        )
        raise ConfigError(message)


def _may_be_there(place: str) -> bool:
    """Say whether a place may hold something: stores and globs are opened by the job."""
    if "://" in place or any(letter in place for letter in "*?["):
        return True
    return Path(local_path(place)).expanduser().exists()

"""``blockseg cluster``: presets of clusters, their job scripts, certificates."""

from __future__ import annotations

from pathlib import Path

import click

from blockseg.config.presets import cluster_names, cluster_text, load_cluster


@click.group()
def cluster() -> None:
    """Show presets for --cluster and the scripts of their jobs; make certificates."""


@cluster.command("list")
def list_() -> None:
    """List the presets, each with the command that uses it."""
    names = cluster_names()
    widest = max(map(len, names))
    for name in names:
        command = cluster_text(name).splitlines()[0].removeprefix("# ")
        click.echo(f"{name:{widest}}  {command}")


@cluster.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the preset NAME: blockseg cluster show slurm > my-slurm.yaml."""
    click.echo(cluster_text(name), nl=False)


@cluster.command()
@click.argument("name")
def script(name: str) -> None:
    """Print the script that a worker's job of the preset or file NAME would have."""
    from blockseg.config.cluster_settings import BATCH
    from blockseg.core.errors import ConfigError
    from blockseg.runtime.clusters.jobqueue import job_script

    settings = load_cluster(name)
    if settings.launcher not in BATCH:
        message = f"{name}: {settings.launcher} has no job scripts"
        raise ConfigError(message)
    click.echo(job_script(settings), nl=False)


@cluster.command()
@click.argument("folder")
def certs(folder: str) -> None:
    """Make a key and a certificate in FOLDER, for all nodes of a cluster.

    Name FOLDER in the cluster's file (certificates: FOLDER). For a scheduler and workers
    that you start yourself, Dask's own options take the two files.
    """
    from blockseg.runtime.clusters.certificates import write_certificates

    certificate, key = write_certificates(Path(folder).expanduser().absolute())
    click.echo(f"{certificate}\n{key}")
    options = f"--tls-ca-file {certificate} --tls-cert {certificate} --tls-key {key}"
    click.echo(f"In a cluster's file: certificates: {certificate.parent}")
    click.echo(f"With dask scheduler and dask worker: {options}")

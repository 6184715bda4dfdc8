"""``blockseg audit-seams``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from blockseg.config.checks_settings import AuditSettings
from blockseg.config.merging import read_settings
from blockseg.core.text import counted

from .options import click_options, given, without_config

if TYPE_CHECKING:
    from blockseg.checks.seams.run import SeamAudit

_SEAMS = 3


@click.command(name="audit-seams")
@click.argument("out")
@without_config(click_options(AuditSettings))
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but what differs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def audit_seams(out: str, quiet: bool, as_json: bool, **options: Any) -> None:
    """Infer windows across the faces between blocks of OUT again, and compare.

    This uses the run's own weights, engine and normalisation. If the result is that of
    one pass over the whole volume, no voxel differs on the kind of machine that made it;
    on others a few voxels may differ by one level of 255. More: docs/checks.md.

    Exit codes: 0 no voxel differs; 1 OUT cannot be audited; 3 some do.
    """
    from blockseg.checks.seams.run import audit_seams as audit

    from .progress import watcher

    settings = read_settings(AuditSettings, given(options))
    with watcher(quiet=quiet or as_json, as_json=False) as watch:
        found = audit(out, settings, on_event=watch)
    if as_json:
        click.echo(json.dumps(found.to_plain(), indent=2))
    else:
        _print(found, quiet=quiet)
    if not found.exact:
        click.get_current_context().exit(_SEAMS)


def _print(found: SeamAudit, *, quiet: bool) -> None:
    for one in found.windows:
        if one.note and not quiet:
            click.echo(
                f"Note: the window {one.roi} was computed otherwise: {one.note}."
            )
        if one.different or one.mask_different:
            between = " and ".join(str(index) for index in one.blocks)
            click.echo(
                f"  {one.different} of {one.voxels} voxels differ, by {one.greatest} of "
                f"255 at most ({one.mask_different} in the mask), between blocks "
                f"{between}: {one.roi}"
            )
    if quiet and found.exact:
        return
    seen = sum(one.foreground for one in found.windows)
    click.echo(
        f"{counted(len(found.windows), 'window')} across {found.faces:,} faces, "
        f"{found.voxels:,} voxels, {seen:,} of them foreground: {found.different:,} "
        f"voxels differ, greatest difference {found.greatest} of 255."
    )

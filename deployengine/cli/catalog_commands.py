"""``init`` and ``apply``: from YAML to what there is."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from rich.console import Console

from deployengine.catalog import load
from deployengine.cli.documents import difference_document
from deployengine.cli.session import Session, command
from deployengine.domain.errors import AlreadyExists, RequestError
from deployengine.shipped import shipped


@click.command(epilog="Example:  deployengine init shop && cd shop && deployengine apply catalog")
@click.argument("directory", type=click.Path(path_type=Path), default=Path())
@command
def init(session: Session, directory: Path) -> None:
    """Write a commented catalog and settings to start from into DIRECTORY (default: here)."""
    wanted = {
        shipped("starter"): directory / "catalog",
        shipped("settings.yaml"): directory / ".deployengine" / "settings.yaml",
        shipped("catalog.schema.json"): directory / "catalog.schema.json",
    }
    present = [str(target) for target in wanted.values() if target.exists()]
    if present:
        raise AlreadyExists(
            f"{' and '.join(present)} exists already",
            None,
            "choose another folder; nothing was written",
        )
    try:
        for source, target in wanted.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
    except OSError as error:
        raise RequestError(f"cannot write {error.filename}: {error.strerror}") from error
    document = {"written": [str(target) for target in wanted.values()]}

    def show(out: Console) -> None:
        for path in document["written"]:
            out.print(f"wrote {path}", markup=False)
        out.print("next: deployengine apply catalog, then deployengine up", markup=False)

    session.answer(document, show)


@click.command(epilog="Example:  deployengine apply catalog/ --dry-run")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the difference and change nothing.")
@command
def apply(session: Session, paths: tuple[Path, ...], dry_run: bool) -> None:
    """Make the catalog in PATHS (files, or folders of *.yaml) what there is.

    Shows the difference and applies it whole, or not at all when anything is wrong. What the
    catalog does not name is removed; existing releases keep what they froze.
    """
    services = session.services
    catalog = load(paths).sealed(services.secrets.seal)
    for warning in catalog.warnings:
        session.say(f"warning: {warning}")
    catalogs = services.catalogs
    found = catalogs.difference(catalog) if dry_run else catalogs.apply(catalog, session.user)
    document = {**difference_document(found), "applied": not dry_run}

    def show(out: Console) -> None:
        for line in found.lines():
            out.print(line, markup=False)
        if found.is_empty:
            out.print(f"no change: {found.unchanged} items are as in the catalog", markup=False)
        if dry_run and not found.is_empty:
            out.print("dry run: nothing was changed", markup=False)

    session.answer(document, show)

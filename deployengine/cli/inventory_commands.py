"""``inventory show``: what would come of an inventory, as a catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deployengine.catalog.inventory import showing
from deployengine.catalog.inventory.reading import Format
from deployengine.cli.session import Session, command
from deployengine.domain.errors import RequestError
from deployengine.importing.catalog_text import catalog_text
from deployengine.importing.report import Entry, Items


@click.group()
def inventory() -> None:
    """Machines that an inventory lists."""


@inventory.command(
    epilog="Example:  deployengine inventory show hosts.ini --environment production=Production "
    "> machines.yaml"
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["ansible", "ansible-list", "ssh_config"]),
    help="Default: as its name and its text suggest.",
)
@click.option(
    "--environment",
    "environments",
    multiple=True,
    metavar="[GROUP=]NAME",
    help="The environment of all hosts, or of a group's. Can be given several times.",
)
@command
def show(
    session: Session, file: Path, format_: Format | None, environments: tuple[str, ...]
) -> None:
    """Print the machines that would come of FILE, as a catalog that can be applied.

    FILE is an inventory of Ansible's (INI, YAML, or what ansible-inventory --list prints), an
    ssh_config, or a catalog with `inventories`, which then says what is made of them. Nothing is
    changed, and no database is needed.
    """
    if showing.names_inventories(file):
        if format_ or environments:
            raise RequestError(
                f"{file} is a catalog, which says formats and environments itself",
                None,
                "leave --format and --environment out",
            )
        shown = showing.of_catalog(file)
    else:
        shown = showing.of_inventory(file, format_, environments)
    for warning in shown.warnings:
        session.say(f"warning: {warning}")
    document = {
        "machines": list(shown.machines),
        "warnings": [str(warning) for warning in shown.warnings],
    }
    session.answer(document, lambda out: _show(out, file, shown.machines))


def _show(out: Console, file: Path, machines: tuple[dict[str, Any], ...]) -> None:
    catalog = Entry(machines=Items(Entry(**machine) for machine in machines))
    text = catalog_text(catalog, f"The machines of {file}.")
    out.print(text, end="", markup=False, soft_wrap=True)

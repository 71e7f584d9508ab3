"""``import octopus``: a catalog from what another product exports."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deployengine.catalog import load
from deployengine.cli.session import Session, command
from deployengine.domain.counted import counted
from deployengine.domain.errors import AlreadyExists, Fault, InvalidInput, RequestError
from deployengine.importing import Imported, import_octopus

#: The catalog is there, and ``apply`` would refuse it.
_TO_CORRECT = 1


@click.group(name="import")
def import_() -> None:
    """Write a catalog from what another product exports."""


@import_.command(
    epilog="Example:  deployengine import octopus export/ --output catalog.yaml && "
    "deployengine apply catalog.yaml --dry-run"
)
@click.argument("export", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("catalog.yaml"),
    show_default=True,
    help="The file to write; it must not exist yet.",
)
@command
def octopus(session: Session, export: Path, output: Path) -> int:
    """Write a catalog from an export of Octopus in DIR, which may also be a zip or a JSON file.

    Tells what could not be carried over, and what stands in its place; the same stands as comments
    in the catalog. Nothing but the file is changed, and no database is needed.
    """
    imported = import_octopus(export)
    _write(output, imported.text)
    faults = _faults(output)
    document = {
        "written": str(output),
        "counts": dict(imported.counts),
        "not_carried_over": [asdict(loss) for loss in imported.losses],
        "to_correct": [str(fault) for fault in faults],
    }
    session.answer(document, lambda out: _show(out, output, imported, faults))
    return _TO_CORRECT if faults else 0


def _write(output: Path, text: str) -> None:
    """Never over a file that is there: somebody may have corrected it by hand."""
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        advice = "choose another --output, or remove it; nothing was written"
        raise AlreadyExists(f"{output} exists already", None, advice) from error
    except OSError as error:
        raise RequestError(f"cannot write {output}: {error.strerror}") from error


def _faults(output: Path) -> tuple[Fault, ...]:
    """What ``apply`` would refuse: there should be nothing, and if there is, better told here."""
    try:
        load([output])
    except InvalidInput as error:
        return error.faults
    return ()


def _show(out: Console, output: Path, imported: Imported, faults: tuple[Fault, ...]) -> None:
    def line(text: Any) -> None:
        out.print(str(text), markup=False)

    counted = (_counted(number, section) for section, number in imported.counts.items())
    line(f"wrote {output}: {', '.join(counted)}")
    if imported.losses:
        line(f"not as in Octopus ({len(imported.losses)}):")
        for loss in imported.losses:
            line(f"  {loss}")
    if faults:
        line(f"to be corrected before it can be applied ({len(faults)}):")
        for fault in faults:
            line(f"  {fault}")
    line(f"next: read {output}, then deployengine apply {output} --dry-run")


def _counted(number: int, section: str) -> str:
    """``1 project``, ``3 variable sets``."""
    called = section.replace("_", " ")
    return counted(number, called.removesuffix("s"))

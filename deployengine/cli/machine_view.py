"""Machines on the screen, and as the documents that ``--json`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deployengine.cli.documents import instant
from deployengine.cli.moments import shown
from deployengine.domain.availability import MachineMode
from deployengine.domain.counted import counted
from deployengine.domain.identity import deployment_id
from deployengine.engine.health import Found
from deployengine.engine.machines import MachineView
from deployengine.engine.reception import is_not_enabled

_COLOURS = {"healthy": "green", "unavailable": "red", "disabled": "yellow", "draining": "magenta"}
_MEGABYTE = 1024 * 1024
_GIGABYTE = 1024 * _MEGABYTE


def machine_document(view: MachineView) -> dict[str, Any]:
    """A machine and all that is known of it; ``facts`` are those of the last look that saw it."""
    machine, known = view.machine, view.known
    return {
        "name": machine.name,
        "environments": list(machine.environments),
        "roles": list(machine.roles),
        "kind": machine.connection.get("kind", "local"),
        "state": known.state.value,
        "since": instant(known.since),
        "checked_at": instant(known.checked_at),
        "due_at": instant(known.due_at),
        "message": known.message,
        "facts": known.facts and _facts(known.facts),
        "mode": known.mode.value,
        "reason": known.reason,
        "changed_by": known.changed_by,
        "changed_at": instant(known.changed_at),
        "busy": view.busy,
        "missed": [
            {
                "deployment": deployment_id(each.absence.deployment_id),
                "project": each.absence.project,
                "version": each.absence.version,
                "environment": each.absence.environment,
                "why": each.absence.why,
                "at": instant(each.absence.at),
                "hindrance": each.hindrance,
            }
            for each in view.missed
        ],
    }


def finding_document(found: Found) -> dict[str, Any]:
    """How a machine was found just now."""
    return {
        "name": found.machine,
        "state": found.state.value,
        "message": found.message,
        "facts": found.checkup and _facts(asdict(found.checkup)),
    }


def show_machines(out: Console, views: Sequence[MachineView]) -> None:
    """A line for each."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "environments", "roles", "reached", "state", "mode", "busy", "said"):
        table.add_column(heading, no_wrap=heading == "name", overflow="fold")
    for view in views:
        machine, known = view.machine, view.known
        said = [known.message or "", *_warnings(known.facts if not known.message else None)]
        table.add_row(
            escape(machine.name),
            escape(", ".join(machine.environments)),
            escape(", ".join(machine.roles)),
            str(machine.connection.get("kind", "local")),
            _coloured(known.state),
            _coloured(known.mode),
            str(view.busy or ""),
            escape("; ".join(filter(None, [*said, _missed(view)]))),
        )
    out.print(table)


def show_machine(out: Console, view: MachineView) -> None:
    """All that is known of one."""
    machine, known = view.machine, view.known
    out.print(f"[bold]{escape(machine.name)}[/]: {_coloured(known.state)}, {_coloured(known.mode)}")
    for line in _lines(view):
        out.print(f"  {line}", markup=False)


def _lines(view: MachineView) -> Iterator[str]:
    machine, known = view.machine, view.known
    roles = f" as {', '.join(machine.roles)}" if machine.roles else ""
    yield f"in {', '.join(machine.environments)}{roles}"
    if known.mode is not MachineMode.ENABLED and known.changed_at is not None:
        yield f"{is_not_enabled(known)} at {shown(known.changed_at)}"
    if known.checked_at is None:
        yield "nobody has looked at it yet: deployengine machine check"
    else:
        since = f", so since {shown(known.since)}" if known.since else ""
        yield f"looked at {shown(known.checked_at)}{since}"
    if known.due_at is not None and known.mode is not MachineMode.DISABLED:
        yield f"looked at again {shown(known.due_at)}"
    if known.message:
        yield known.message
    if known.facts:
        yield from (f"{name}: {value}" for name, value in _told(known.facts))
        yield from _warnings(known.facts)
    if view.busy:
        yield f"{counted(view.busy, 'run')} to come, waiting or at work there"
    for each in view.missed:
        gone = each.absence
        name = f"{gone.project} {gone.version} → {gone.environment}"
        yield f"{deployment_id(gone.deployment_id)} went without it ({gone.why}): {name}"
        if each.hindrance:
            yield f"  it does not catch up: {each.hindrance}"


def show_findings(out: Console, found: Sequence[Found]) -> None:
    """A line for each machine that was looked at."""
    if not found:
        out.print("no machine to look at", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "state", "system", "answers in", "clock", "free", "said"):
        table.add_column(heading, no_wrap=heading == "name", overflow="fold")
    for each in found:
        facts = asdict(each.checkup) if each.checkup else {}
        told = dict(_told(facts)) if facts else {}
        table.add_row(
            escape(each.machine),
            _coloured(each.state),
            escape(told.get("system", "")),
            told.get("answers in", ""),
            told.get("clock", ""),
            told.get("free", ""),
            escape("; ".join(filter(None, [each.message or "", *_warnings(facts)]))),
        )
    out.print(table)


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """With the units in the names."""
    return {
        "platform": facts["platform"],
        "round_trip_seconds": facts["round_trip"],
        "clock_difference_seconds": facts["clock_difference"],
        "free_bytes": facts["free_bytes"],
        "missing": list(facts["missing"]),
        "warnings": list(facts["warnings"]),
    }


def _told(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "system", facts["platform"]
    yield "answers in", f"{facts['round_trip'] * 1000:.0f} ms"
    difference = facts["clock_difference"]
    yield "clock", "unknown" if difference is None else f"{difference:+.1f} s"
    yield "free", _room(facts["free_bytes"])


def _room(free: int) -> str:
    return f"{free / _GIGABYTE:.1f} GB" if free >= _GIGABYTE else f"{free / _MEGABYTE:.1f} MB"


def _warnings(facts: Mapping[str, Any] | None) -> list[str]:
    if not facts:
        return []
    missing = [f"missing: {', '.join(facts['missing'])}"] if facts["missing"] else []
    return [*missing, *facts["warnings"]]


def _missed(view: MachineView) -> str:
    many = len(view.missed)
    return f"{counted(many, 'deployment')} went without it" if many else ""


def _coloured(word: str) -> str:
    colour = _COLOURS.get(word)
    return f"[{colour}]{word}[/]" if colour else word

"""``machine``: how machines are, and which take part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from deployengine.cli.lazy_group import LazyGroup
from deployengine.cli.machine_view import (
    finding_document,
    machine_document,
    show_findings,
    show_machine,
    show_machines,
)
from deployengine.cli.names import NAME, NAMES, each_once
from deployengine.cli.session import Session, command
from deployengine.cli.waiting import waiting_options
from deployengine.domain.availability import Health, MachineMode
from deployengine.domain.identity import deployment_id
from deployengine.engine.health import Found
from deployengine.engine.machines import Change
from deployengine.engine.patience import looks

_REASON = click.option("--reason", help="Why; it is kept on record, and told with the machine.")


@click.group(
    cls=LazyGroup,
    where={
        "trust": "deployengine.cli.trust_commands:trust",
        "distrust": "deployengine.cli.trust_commands:distrust",
    },
)
def machine() -> None:
    """Look at machines, and take them out of use and back in."""


@machine.command("list", epilog="Example:  deployengine machine list --environment Production")
@click.option("--environment", type=NAME, help="Only of this environment.")
@command
def list_machines(session: Session, environment: str | None) -> None:
    """List the machines, how each was found, and which of them take part."""
    found = session.services.machines.all(environment=environment)
    session.answer(
        [machine_document(view) for view in found], lambda out: show_machines(out, found)
    )


@machine.command("show", epilog="Example:  deployengine machine show prod-05")
@click.argument("name", type=NAME)
@command
def show(session: Session, name: str) -> None:
    """Show what is known of a machine, and what it has missed."""
    (found,) = session.services.machines.all([name])
    session.answer(machine_document(found), lambda out: show_machine(out, found))


@machine.command("check", epilog="Example:  deployengine machine check 'prod-[01:30]'")
@click.argument("names", type=NAMES, nargs=-1)
@command
def check(session: Session, names: tuple[tuple[str, ...], ...]) -> int:
    """Look at machines now; without NAMES at all that are not disabled.

    Whether each can be reached, its folders, tools and clock, and the room on its disk. Takes no
    lock and no place in line. Exit 1 when one of them cannot be used.
    """
    services = session.services
    wanted = each_once(names)
    found = list(_told(session, services.health_checks.check(wanted or None)))
    order = {view.machine.name: place for place, view in enumerate(services.machines.all())}
    found.sort(key=lambda each: order.get(each.machine, len(order)))
    session.answer(
        [finding_document(each) for each in found], lambda out: show_findings(out, found)
    )
    return 0 if all(each.state is Health.HEALTHY for each in found) else 1


@machine.command("enable", epilog="Example:  deployengine machine enable prod-05")
@click.argument("names", type=NAMES, nargs=-1, required=True)
@_REASON
@command
def enable(session: Session, names: tuple[tuple[str, ...], ...], reason: str | None) -> None:
    """Let machines take part again.

    Each is looked at next, and gets what is there by now once it is found healthy.
    """
    changes = _set_mode(session, names, MachineMode.ENABLED, reason)
    session.answer(*_changes(changes, MachineMode.ENABLED, "enabled"))


@machine.command("disable", epilog="Example:  deployengine machine disable prod-05 --reason disk")
@click.argument("names", type=NAMES, nargs=-1, required=True)
@_REASON
@command
def disable(session: Session, names: tuple[tuple[str, ...], ...], reason: str | None) -> None:
    """Let nothing more begin on machines, be it planned or not.

    What runs there runs to its end; deployments go on without them.
    """
    changes = _set_mode(session, names, MachineMode.DISABLED, reason)
    session.answer(*_changes(changes, MachineMode.DISABLED, "disabled"))


@machine.command("drain", epilog="Example:  deployengine machine drain prod-05 --wait")
@click.argument("names", type=NAMES, nargs=-1, required=True)
@_REASON
@waiting_options("Wait until nothing is to come or runs there.")
@command
def drain(
    session: Session,
    names: tuple[tuple[str, ...], ...],
    reason: str | None,
    wait: bool,
    timeout: float | None,
) -> None:
    """Let machines finish what is planned there; new deployments go without them."""
    changes = _set_mode(session, names, MachineMode.DRAINING, reason)
    if wait:
        _await_rest(session, [each.machine for each in changes], timeout)
    session.answer(*_changes(changes, MachineMode.DRAINING, "drained" if wait else "draining"))


def _set_mode(
    session: Session,
    names: Iterable[Sequence[str]],
    mode: MachineMode,
    reason: str | None,
) -> list[Change]:
    return session.services.machines.set_mode(each_once(names), mode, reason, session.user)


def _changes(
    changes: Sequence[Change], mode: MachineMode, said: str
) -> tuple[list[dict[str, Any]], Callable[[Console], None]]:
    """What was changed, as a document and for people."""
    document = [
        {
            "name": each.machine,
            "mode": mode.value,
            "changed": each.changed,
            "left_out_of": [deployment_id(number) for number in each.left_out_of],
            "needed_by": [deployment_id(number) for number in each.needed_by],
        }
        for each in changes
    ]

    def show(out: Console) -> None:
        for each in changes:
            text = said if each.changed else f"is {said} already"
            if each.left_out_of:
                text += f"; left out of {', '.join(map(deployment_id, each.left_out_of))}"
            if each.needed_by:
                names = ", ".join(map(deployment_id, each.needed_by))
                text += f"; what it was to carry out for other machines fails in {names}"
            out.print(f"{each.machine}: {text}", markup=False)

    return document, show


def _told(session: Session, found: Iterable[Found]) -> Iterator[Found]:
    """Tells each as it comes, on stderr: on a terminal in one line that moves on."""
    if not session.err.is_terminal:
        for each in found:
            session.say(f"{each.machine}: {each.state}")
            yield each
        return
    with session.err.status("looking at machines") as line:
        for number, each in enumerate(found, 1):
            line.update(escape(f"{number} looked at; {each.machine}: {each.state}"))
            yield each


def _await_rest(session: Session, names: Sequence[str], timeout: float | None) -> None:
    """Waits until nothing is to come or runs on the machines; raises ``GaveUpWaiting``."""
    machines = session.services.machines
    told = None
    for found in looks(lambda: machines.all(names), "the machines to be drained", timeout):
        busy = [f"{view.machine.name} {view.busy}" for view in found if view.busy]
        if not busy:
            return
        if busy != told:
            session.say(f"still to end there: {', '.join(busy[:10])}")
            told = busy

"""``machine trust``: the host keys of machines that are reached by SSH."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.markup import escape

from deployengine.cli.names import NAMES, each_once
from deployengine.cli.session import Session, command
from deployengine.domain.counted import counted
from deployengine.engine.trust import NotToBeTrusted, Shown
from deployengine.steps.errors import MachineUnreachable


@click.command("trust", epilog="Example:  deployengine machine trust prod-05")
@click.argument("names", type=NAMES, nargs=-1, required=True)
@click.option("--fingerprint", help="What the key must be; then nothing is asked.")
@click.option("--yes", is_flag=True, help="Trust whatever key is shown, unseen.")
@click.option("--replace", is_flag=True, help="In the place of the keys that are trusted.")
@command
def trust(
    session: Session,
    names: Sequence[Sequence[str]],
    fingerprint: str | None,
    yes: bool,
    replace: bool,
) -> int:
    """Learn the host keys of machines, once somebody has compared them.

    Compare with what `ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub` prints there. From then
    on any other key is refused. The catalog may pin a key as well (host_key). Without a terminal
    keys are shown and none is learned, but by --fingerprint or --yes; the exit code is 1 then.
    """
    wanted = each_once(names)
    if fingerprint is not None and len(wanted) > 1:
        raise click.UsageError("--fingerprint is that of one machine; name one")
    found: list[tuple[Shown, bool]] = []
    code = 0
    for name in wanted:
        try:
            found.append(_learn(session, name, fingerprint, yes=yes, replace=replace))
        except (MachineUnreachable, NotToBeTrusted) as error:  # the others are asked all the same
            code = max(code, 2 if isinstance(error, NotToBeTrusted) else 1)
            session.say(str(error))
    session.answer(
        [_document(shown, learned) for shown, learned in found],
        lambda out: out.print(
            "\n".join(escape(_said(shown, learned)) for shown, learned in found), soft_wrap=True
        ),
    )
    if not sys.stdin.isatty() and not all(learned or shown.known for shown, learned in found):
        code = max(code, 1)
        session.say(
            "nobody is here to compare keys, so none was learned: when you have, give it with "
            "--fingerprint SHA256:…, or say --yes"
        )
    return code


def _learn(
    session: Session, name: str, fingerprint: str | None, *, yes: bool, replace: bool
) -> tuple[Shown, bool]:
    """The key that a machine shows, and whether it was learned just now."""
    keys = session.services.trust
    shown = keys.show(name)
    if shown.known:
        return shown, False
    keys.check(shown, replace=replace)
    if not _agreed(shown, fingerprint, yes=yes):
        return shown, False
    keys.learn(shown, session.user, replace=replace)
    return shown, True


@click.command("distrust", epilog="Example:  deployengine machine distrust prod-05")
@click.argument("names", type=NAMES, nargs=-1, required=True)
@command
def distrust(session: Session, names: Sequence[Sequence[str]]) -> None:
    """Forget the host keys that were learned of machines."""
    wanted = each_once(names)
    session.services.machines.all(wanted)  # each of them must be there
    forgotten = {name: session.services.trust.forget(name, session.user) for name in wanted}
    session.answer(
        [{"name": name, "forgotten": count} for name, count in forgotten.items()],
        lambda out: out.print(
            "\n".join(
                escape(f"{name}: {counted(count, 'key') if count else 'no keys'} forgotten")
                for name, count in forgotten.items()
            )
        ),
    )


def _agreed(shown: Shown, fingerprint: str | None, *, yes: bool) -> bool:
    if fingerprint is not None:
        if fingerprint.strip().rstrip("=") != shown.key.fingerprint:
            raise NotToBeTrusted(
                f"machine {shown.machine}: {shown.address} shows {shown.key.fingerprint}, and not "
                f"{fingerprint}; nothing was learned. Somebody may stand in between"
            )
        return True
    if yes or not sys.stdin.isatty():
        return yes
    question = f"{shown.machine} at {shown.address} shows {shown.key.fingerprint}. Trust it?"
    return click.confirm(question, err=True)


def _document(shown: Shown, learned: bool) -> dict[str, Any]:
    return {
        "name": shown.machine,
        "address": shown.address,
        "algorithm": shown.key.algorithm,
        "fingerprint": shown.key.fingerprint,
        "trusted": learned or shown.known,
        "learned": learned,
    }


def _said(shown: Shown, learned: bool) -> str:
    key = f"{shown.key.algorithm} {shown.key.fingerprint}"
    if learned:
        return f"{shown.machine}: {key} is trusted from now on"
    if shown.known:
        return f"{shown.machine}: {key} is trusted already"
    return f"{shown.machine}: {key} is not trusted"

"""``secrets``: the master keys, what each is needed for, and how they are changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from deployengine.cli.session import Session, command
from deployengine.embedded.master_key import new_key, read_key
from deployengine.engine.key_rotation import KeyUse
from deployengine.sealing import key_id
from deployengine.services import Services

#: How people call what is in a table.
_PLACES = {
    "catalog_item": "catalog",
    "snapshot": "releases",
    "step_run": "outputs",
    "setting_value": "engine",
}

#: Values between two signs of progress.
_STRIDE = 1000


@click.group()
def secrets() -> None:
    """Look after the keys that encrypt sensitive values."""


@secrets.command("status", epilog="Example:  deployengine secrets status")
@command
def status(session: Session) -> int:
    """Show the master keys in use, and how many values each of them opens.

    Ends with 1 when a value cannot be opened with any of them.
    """
    session.services.secrets  # noqa: B018 - makes what there is to look at in a new installation
    uses = session.services.key_rotation.uses()
    session.answer({"keys": _documents(uses)}, lambda out: _show(out, uses))
    return _code(uses)


@secrets.command("rotate", epilog="Example:  deployengine secrets rotate")
@click.option(
    "--new-key-file",
    type=click.Path(path_type=Path),
    help="Holds the new key; without it one is made.",
)
@command
def rotate(session: Session, new_key_file: Path | None) -> int:
    """Take a new master key into use, and seal everything that is stored anew with it.

    The key file gets the new key before the old ones; workers notice. Interrupted, say it again:
    it goes on without another new key. Then take out of the file what is not needed any more.
    """
    services = session.services
    services.secrets  # noqa: B018 - the fingerprint key must be stored under the old key first
    made = _take_into_use(services, new_key_file)
    total = services.key_rotation.outdated()
    done = services.key_rotation.seal_anew(_progress(session, total))
    if made or done:
        now = services.clock.now()
        services.key_rotation.record(session.user, now, new_key=made, sealed_anew=done)
    uses = services.key_rotation.uses()
    document = {"new_key": uses[0].key_id if made else None, "sealed_anew": done}

    def show(out: Console) -> None:
        new = "" if made else ", which was in use before"
        out.print(f"{done} values were sealed anew with key {uses[0].key_id}{new}", markup=False)
        _show(out, uses)
        spare = [str(use.key_id) for use in uses if not use.needed]
        if spare:
            where = services.master_keys.file or "DEPLOYENGINE_MASTER_KEY"
            out.print(f"not needed any more, take out of {where}: {', '.join(spare)}", markup=False)

    session.answer({**document, "keys": _documents(uses)}, show)
    return _code(uses)


def _take_into_use(services: Services, new_key_file: Path | None) -> bool:
    """Puts a new key first, unless an earlier change of keys has not come to its end yet."""
    keys = services.master_keys
    given = keys.file is None and len(keys()) > 1  # the new one was put first by hand
    if new_key_file is None and (given or services.key_rotation.outdated()):
        return False
    key = new_key() if new_key_file is None else read_key(new_key_file)
    keys.put_first(key, remark=key_id(key))
    return True


def _progress(session: Session, total: int) -> Callable[[int], None]:
    told = 0

    def tell(done: int) -> None:
        nonlocal told
        if done >= told + _STRIDE:
            told = done
            session.say(f"{done} of {total} values were sealed anew")

    return tell


def _documents(uses: Sequence[KeyUse]) -> list[dict[str, Any]]:
    return [
        {
            "key": use.key_id,
            "seals": use.seals,
            "needed": use.needed,
            "values": {_PLACES.get(place, place): n for place, n in use.values.items()},
        }
        for use in uses
    ]


def _show(out: Console, uses: Sequence[KeyUse]) -> None:
    for use in uses:
        counted = ", ".join(f"{_PLACES.get(p, p)} {n}" for p, n in use.values.items()) or "nothing"
        if use.key_id is None:
            out.print(f"cannot be opened, as the key is not in use: {counted}", markup=False)
        else:
            does = (
                "seals and opens" if use.seals else "opens" if use.needed else "not needed, opens"
            )
            out.print(f"key {use.key_id}  {does}: {counted}", markup=False)


def _code(uses: Sequence[KeyUse]) -> int:
    return 1 if any(use.key_id is None for use in uses) else 0

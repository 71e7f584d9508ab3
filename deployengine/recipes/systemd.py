"""The recipe of ``systemd`` steps; ``systemd.sh`` says which commands do it."""

from __future__ import annotations

from collections.abc import Iterator

from deployengine.domain import tool_words as words
from deployengine.domain.filling import BadValue, Filling
from deployengine.domain.tools import UNIT_ACTIONS, UNIT_SCOPES, UnitAction
from deployengine.recipes.shell import arguments, assign, hundredths

PROGRAM = "systemd.sh"

_WANTED = {True: "active", False: "inactive", None: ""}


def lines(step: UnitAction, fill: Filling) -> Iterator[str]:
    """What is done with which units, and how they are to be afterwards."""
    units = fill.words("unit", step.unit, words.unit)
    if not units:
        raise BadValue("unit", "comes to nothing")
    action = fill.word("action", step.action, words.choice(UNIT_ACTIONS))
    yield assign("action", action)
    yield assign("wanted", _WANTED[UNIT_ACTIONS[action]])
    yield assign("scope", fill.word("scope", step.scope, words.choice(UNIT_SCOPES)))
    yield assign("reload", fill.flag("daemon_reload", step.daemon_reload))
    yield assign("within", hundredths(fill.seconds("active_within", step.active_within)))
    yield assign("stable", hundredths(fill.seconds("stable", step.stable)))
    yield arguments(units)

"""The recipe of ``ansible`` steps; ``ansible.sh`` says which commands do it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deployengine.domain import tool_words as words
from deployengine.domain.filling import BadValue, Filling
from deployengine.domain.tools import Playbook
from deployengine.recipes.shell import assign

PROGRAM = "ansible.sh"


def lines(step: Playbook, fill: Filling, machine: str) -> Iterator[str]:
    """Which playbook runs for which machine, with which variables."""
    if why := words.limit(machine):
        raise BadValue(f"the name {machine!r}", why)
    yield assign("limit", machine)
    yield assign("playbook", fill.word("playbook", step.playbook, words.path))
    inventory = fill.word("inventory", step.inventory).strip()
    if inventory and (why := words.path(inventory)):
        raise BadValue("inventory", why)
    yield assign("inventory", inventory)
    yield assign("tags", ",".join(fill.words("tags", step.tags, words.tag)))
    yield assign("check", fill.flag("check", step.check))
    yield assign("vars", _written("extra_vars", step.extra_vars, fill) if step.extra_vars else "")


def _written(key: str, value: Any, fill: Filling) -> str:
    """A value in YAML, on one line. What came from a variable is never read as a template."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            text = fill.text(key, value)
            return f"!unsafe {_quoted(text)}" if "#{" in value else _quoted(text)
        case Mapping():
            return "{" + ", ".join(_pair(key, *each, fill) for each in value.items()) + "}"
        case _:
            return "[" + ", ".join(_written(key, each, fill) for each in value) + "]"


def _pair(key: str, name: str, value: Any, fill: Filling) -> str:
    return f"{_quoted(name)}: {_written(f'{key} {name}', value, fill)}"


def _quoted(text: str) -> str:
    """In double quotes, as YAML reads it whatever it holds."""
    return '"' + "".join(_character(each) for each in text) + '"'


def _character(each: str) -> str:
    plain = " " <= each <= "~" and each not in '"\\'
    return each if plain else f"\\U{ord(each):08x}"

"""YAML and JSON as nodes with their lines, for files that are not ours and say more than we need.

Nothing is made of a node that nobody asks for: so no tag is unknown, and no alias is written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from deployengine.catalog.inventory.listing import Unreadable, Value
from deployengine.domain.errors import Fault

_TAG = "tag:yaml.org,2002:"
#: A node that says nothing.
NOTHING = yaml.ScalarNode(f"{_TAG}null", "")
#: The one with a parser in C, where it was built: files of machines may be long.
_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: JSON writes some characters as two halves, which YAML has no place for.
_HALF = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

#: How ``ansible-inventory --list`` writes what is encrypted, and what is no template.
_VAULT, _UNSAFE = "__ansible_vault", "__ansible_unsafe"


def compose(text: str, file: str) -> yaml.Node | None:
    """The first document; ``None`` if there is nothing in it. Raises :class:`Unreadable`."""
    try:
        node: yaml.Node | None = yaml.compose(_HALF.sub(r"\\ufffd", text), Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        fault = Fault(f"wrong YAML: {said}", file, mark.line + 1 if mark else None)
        raise Unreadable(fault) from error
    except (yaml.YAMLError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else "a control character"
        raise Unreadable(Fault(f"wrong YAML: {said}", file, 1)) from error
    return None if node is not None and is_empty(node) else node


def line(node: yaml.Node) -> int:
    """The line that it begins on, counted from 1."""
    return int(node.start_mark.line) + 1


def is_empty(node: yaml.Node) -> bool:
    """Whether nothing is said."""
    return bool(node.tag == f"{_TAG}null")


def pairs(node: yaml.Node) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    """What a mapping holds, what is merged in with ``<<`` included; of two alike the last counts.

    Nothing for what is no mapping.
    """
    found: dict[str, tuple[yaml.ScalarNode, yaml.Node]] = {}
    _gather(node, found, set())
    yield from found.values()


def _gather(
    node: yaml.Node, found: dict[str, tuple[yaml.ScalarNode, yaml.Node]], inside: set[int]
) -> None:
    if not isinstance(node, yaml.MappingNode) or id(node) in inside:
        return
    inside.add(id(node))
    own: dict[str, tuple[yaml.ScalarNode, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.tag == f"{_TAG}merge":
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for each in reversed(merged):
                _gather(each, found, inside)
        else:
            own[key.value] = (key, value)
    found |= own
    inside.discard(id(node))


def value(node: yaml.Node, file: str, of: str) -> Value:
    """What is said of a variable of a host or a group."""
    at = line(node)
    if isinstance(node, yaml.ScalarNode):
        if node.tag in ("!vault", "!vault-encrypted"):
            return Value(None, file, at, of, hidden=True)
        return Value(None if is_empty(node) else node.value, file, at, of)
    wrapped = {key.value: inner for key, inner in pairs(node)}
    if _VAULT in wrapped:
        return Value(None, file, at, of, hidden=True)
    if isinstance(inner := wrapped.get(_UNSAFE), yaml.ScalarNode):
        return Value(inner.value, file, at, of)
    return Value(None, file, at, of, nested=True)

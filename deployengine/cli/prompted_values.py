"""Values of prompted variables, from ``--variable`` and ``--variable-file``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TextIO

import click
import yaml

from deployengine.catalog.lines import SWALLOWED
from deployengine.catalog.scalars import Loader, Swallowed, as_written, scalar
from deployengine.domain.errors import Fault, InvalidInput, RequestError
from deployengine.domain.variables import key


def prompted_values(variables: Iterable[str], file: TextIO | None) -> dict[str, str]:
    """The values that were given, by name.

    Raises :class:`RequestError`, which quotes no value, also for a name that is given twice.
    """
    given = [*_from_file(file), *map(_pair, variables)]
    counts = Counter(key(name) for name, _ in given)
    twice = list(dict.fromkeys(name for name, _ in given if counts[key(name)] > 1))
    if twice:
        raise RequestError(
            f"{' and '.join(twice)}: given more than once",
            None,
            "give each variable one value; upper and lower case make no difference",
        )
    return dict(given)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise click.BadParameter(f"{text!r} is no NAME=VALUE", param_hint="--variable")
    return name.strip(), value


def _from_file(file: TextIO | None) -> list[tuple[str, str]]:
    """The values in a file; numbers as they are written."""
    if file is None:
        return []
    swallowed: dict[int, Swallowed] = {}
    try:
        node = Loader(file.read(), swallowed).get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        raise InvalidInput([Fault("is no YAML", file.name, line)]) from None
    except UnicodeDecodeError:
        raise InvalidInput([Fault("is not UTF-8", file.name)]) from None
    if not isinstance(node, yaml.MappingNode):
        raise InvalidInput([Fault("must be a mapping of names to values", file.name)])
    faults = [Fault(SWALLOWED, file.name, line) for line in swallowed]
    found = []
    for name, value in node.value:
        line = name.start_mark.line + 1
        if not isinstance(name, yaml.ScalarNode) or not name.value.strip():
            faults.append(Fault("a name must be a text", file.name, line))
        elif (text := _text(value)) is None:
            faults.append(Fault(f"the value of {name.value} is no text", file.name, line))
        else:
            found.append((name.value.strip(), text))
    if faults:
        raise InvalidInput(faults)
    return found


def _text(node: yaml.Node) -> str | None:
    """A text, or a number or truth value as one; ``None`` for anything else."""
    try:
        value = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    except (KeyError, ValueError):
        return None
    return None if value is None else str(as_written(value))

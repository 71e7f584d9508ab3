"""What the references of a project may lead to, as far as it can be told before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from deployengine.domain.errors import UnknownName
from deployengine.domain.variable_names import ERROR, SYSTEM_NAMES, key

#: What a step puts out, or which package it uses.
_OUTPUT = re.compile(
    r"\s*octopus\.action\[(?P<step>.+?)\]\.(?:output[.\[]|package\.package(?:id|version)\s*$)",
    re.IGNORECASE,
)


class Bearers:
    """The variables of a project, whatever their scope, and the steps that may set outputs."""

    def __init__(self, variables: Iterable[str], steps: Iterable[str]) -> None:
        self._variables = {key(name): name.strip() for name in (*variables, *SYSTEM_NAMES, ERROR)}
        self._steps = tuple(steps)

    def lacking(self, name: str) -> UnknownName | None:
        """What is not there, if a reference to this name leads nowhere in any place."""
        if key(name) in self._variables:
            return None
        output = _OUTPUT.match(name)
        if output is None:
            return UnknownName("variable", name.strip(), self._variables.values())
        if output["step"].casefold() in map(str.casefold, self._steps):
            return None
        return UnknownName("step", output["step"], self._steps)

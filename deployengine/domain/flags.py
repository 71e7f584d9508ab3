"""Flags: variables that mean yes or no."""

from __future__ import annotations

from deployengine.domain.errors import RequestError
from deployengine.domain.variables import MASK

#: The variable that lets a step take its machine shared instead of exclusive.
BYPASS = "OctopusBypassDeploymentMutex"

_MEANINGS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


class UnparsableFlag(RequestError):
    """The ``variable`` means yes or no, and its value, as ``shown``, says neither.

    ``source`` names the project or variable set in which the value stands.
    """

    def __init__(self, variable: str, shown: str, source: str | None = None) -> None:
        super().__init__(
            f"variable {variable} has the value {shown}, which says neither true nor false",
            source,
            "write True or False (1, yes, on and 0, no, off do as well)",
        )
        self.variable = variable
        self.args = (variable, shown, source)


def bypass(value: str | None, source: str | None = None, *, sensitive: bool = False) -> bool:
    """Whether :data:`BYPASS` with this value turns the machine's exclusive lock into a shared one.

    Case and surrounding space do not count. Unset (``None``) and blank mean no: the lock is there
    to protect, so only a clear yes lifts it, and clearing a value is how people withdraw one.
    Raises :class:`UnparsableFlag` for any other text, since to guess "no" would hide a typing
    error from somebody who counts on the bypass; a ``sensitive`` value is not shown in it.
    """
    said = (value or "").strip().casefold()
    if not said:
        return False
    if said not in _MEANINGS:
        raise UnparsableFlag(BYPASS, MASK if sensitive else f'"{value}"', source)
    return _MEANINGS[said]

"""The error tree: one base, each name a diagnosis, each exit code a promise to scripts.

Expected outcomes (a failed step, a parked run) are results, not errors. Every error carries its
parts as positional arguments, so that it survives pickling between processes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like ``name``, upper and lower case aside; ``None`` if none is close."""
    by_folded = {candidate.casefold(): candidate for candidate in sorted(candidates)}
    close = get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None


class DeployEngineError(Exception):
    """Something this engine can name went wrong; ``exit_code`` is what its commands end with."""

    exit_code: ClassVar[int] = 1


class RequestError(DeployEngineError):
    """The request is wrong: ``what``, ``where`` it stands, and ``advice`` on what to do.

    Nothing was changed when this is raised.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, where: str | None = None, advice: str | None = None) -> None:
        super().__init__(what, where, advice)
        self.what = what
        self.where = where
        self.advice = advice

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}{_sentence(self.advice)}"


#: So many names can be told when none is like the one that was asked for.
_FEW = 10


class UnknownName(RequestError):
    """There is no ``kind`` of this ``name``; offers the nearest of the ``known`` ones, or all."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        self.suggestion = nearest(name, self.known)
        advice = did_you_mean(self.suggestion)
        if advice is None and 0 < len(self.known) <= _FEW:
            advice = f"there are: {', '.join(self.known)}"
        super().__init__(f"there is no {kind} {name!r}", None, advice)
        # What pickling calls the class with again.
        self.args = (kind, name, self.known)


def check_known(kind: str, name: str, known: Collection[str]) -> None:
    """Raises :class:`UnknownName` for a name that is not among the known ones."""
    if name not in known:
        raise UnknownName(kind, name, known)


class AlreadyExists(RequestError):
    """What was to be made is there already, and differs."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input: prints as ``file:line: path: message``, absent parts left out.

    ``line`` counts from 1; ``path`` is the place inside the document, as ``projects[3].process``.
    """

    message: str
    file: str | None = None
    line: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place = f"{place}:{self.line}" if place else f"line {self.line}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class InvalidInput(RequestError):
    """The input has these ``faults``: all of them at once, one a line."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))
        self.args = (self.faults,)


class Unreachable(DeployEngineError):
    """``what`` cannot be reached at ``where``; ``advice`` says what to do about it."""

    exit_code: ClassVar[int] = 3

    def __init__(self, what: str, where: str, advice: str = "") -> None:
        super().__init__(what, where, advice)
        self.what = what
        self.where = where
        self.advice = advice

    def __str__(self) -> str:
        return f"cannot reach {self.what} at {self.where}{_sentence(self.advice)}"


class GaveUpWaiting(DeployEngineError):
    """``what`` was awaited for ``seconds`` and did not come; it may still come later."""

    exit_code: ClassVar[int] = 4

    def __init__(self, what: str, seconds: float | None = None) -> None:
        super().__init__(what, seconds)
        self.what = what
        self.seconds = seconds

    def __str__(self) -> str:
        span = "" if self.seconds is None else f" after {self.seconds:g} s"
        return f"gave up waiting for {self.what}{span}"


def did_you_mean(suggestion: str | None) -> str | None:
    """The question that offers a right name; ``None`` where there is none to offer."""
    return f"did you mean {suggestion!r}?" if suggestion else None


def _sentence(advice: str | None) -> str:
    return f"; {advice}" if advice else ""

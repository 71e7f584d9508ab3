"""How releases, deployments and step runs are called in commands, locks and messages."""

from __future__ import annotations

import re
from enum import StrEnum

from deployengine.domain.errors import RequestError

_NUMBER = re.compile(r"[0-9]{1,18}")
_FORM = re.compile(r"(rel|dep|run)-([1-9][0-9]{0,17})")


class Kind(StrEnum):
    """What an id names."""

    RELEASE = "rel"
    DEPLOYMENT = "dep"
    RUN = "run"


class BadId(RequestError):
    """An id is ``rel-N``, ``dep-N`` or ``run-N``, as the lists show them."""


def release_id(number: int) -> str:
    """The id of the release with this number."""
    return f"{Kind.RELEASE}-{number}"


def deployment_id(number: int) -> str:
    """The id of the deployment with this number."""
    return f"{Kind.DEPLOYMENT}-{number}"


def run_id(number: int) -> str:
    """The id of the step run with this number."""
    return f"{Kind.RUN}-{number}"


def parse(text: str) -> tuple[Kind, int]:
    """What an id names and its number; raises :class:`BadId`."""
    match = _FORM.fullmatch(text.strip().lower())
    if match is None:
        raise BadId(f"{text!r} is no id", None, "ids look like rel-3, dep-17 or run-1044")
    return Kind(match[1]), int(match[2])


def number_of(text: str, kind: Kind) -> int:
    """The number in an id of this kind; a bare number will do. Raises :class:`BadId`."""
    if _NUMBER.fullmatch(text.strip()):
        return int(text)
    found, number = parse(text)
    if found is not kind:
        raise BadId(f"{text!r} names another kind of thing", None, f"give an id like {kind}-17")
    return number

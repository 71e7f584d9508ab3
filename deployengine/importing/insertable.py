"""Texts with ``#{…}`` in them: what this engine can read of what Octopus could."""

from __future__ import annotations

from collections.abc import Mapping

from deployengine.domain.insertion import BadReference, references
from deployengine.importing.report import Uncarried


def readable(text: str) -> str:
    """The text itself; raises :class:`Uncarried` when it holds a ``#{`` that cannot be read."""
    try:
        references(text)
    except BadReference as error:
        raise Uncarried(error.what) from error
    return text


def literal(text: str) -> str:
    """The text with each ``#{`` standing for itself."""
    return text.replace("##{", "#{").replace("#{", "##{")


def renamed(text: str, changed: Mapping[str, str]) -> str:
    """The text with the steps that it refers to called as they are here."""
    for before, now in changed.items():
        for head in ("Octopus.Action[", "Octopus.Step["):
            text = text.replace(f"{head}{before}]", f"{head}{now}]")
    return text

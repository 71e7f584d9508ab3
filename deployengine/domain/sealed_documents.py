"""Stored documents and the sealed values in them, wherever they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from deployengine.domain.variables import Sealed

_REQUIRED = {"cipher", "mac"}
_KNOWN = {*_REQUIRED, "key_id"}


def sealed_values(document: Any) -> Iterator[Sealed]:
    """Every sealed value in a document."""
    if _is_sealed(document):
        yield Sealed.from_document(document)
    elif isinstance(document, Mapping):
        for value in document.values():
            yield from sealed_values(value)
    elif isinstance(document, list):
        for value in document:
            yield from sealed_values(value)


def with_sealed_values(document: Any, change: Callable[[Sealed], Sealed]) -> Any:
    """The document with each sealed value replaced; all else stays."""
    if _is_sealed(document):
        return change(Sealed.from_document(document)).to_document()
    if isinstance(document, Mapping):
        return {key: with_sealed_values(value, change) for key, value in document.items()}
    if isinstance(document, list):
        return [with_sealed_values(value, change) for value in document]
    return document


def _is_sealed(node: Any) -> bool:
    return isinstance(node, Mapping) and _REQUIRED <= node.keys() <= _KNOWN

"""The catalog: what there is, in YAML files that are read, checked and compared as a whole.

What reads it is loaded when it is first asked for: it takes a second, and most commands and workers
only deal with what has been read before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deployengine.catalog.diff import Difference, difference
    from deployengine.catalog.items import Catalog, CatalogItem
    from deployengine.catalog.loading import load

__all__ = ["Catalog", "CatalogItem", "Difference", "difference", "load"]

_WHERE = {
    "Catalog": "items",
    "CatalogItem": "items",
    "Difference": "diff",
    "difference": "diff",
    "load": "loading",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)

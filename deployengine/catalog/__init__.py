"""The catalog: what there is, in YAML files that are read, checked and compared as a whole."""

from deployengine.catalog.diff import Difference, difference
from deployengine.catalog.items import Catalog, CatalogItem
from deployengine.catalog.load import load

__all__ = ["Catalog", "CatalogItem", "Difference", "difference", "load"]

"""Importing: what other products export, written as a catalog of this engine.

The way is one: files (:mod:`~deployengine.importing.source`) hold documents
(:mod:`~deployengine.importing.documents`), these make up an export
(:mod:`~deployengine.importing.export`), which is converted section by section
(:mod:`~deployengine.importing.conversion`) and written with comments
(:mod:`~deployengine.importing.catalog_text`). Nothing is lost in silence: a converter reads an
object through a :class:`~deployengine.importing.record.Record`, which knows what nobody asked for,
and that is told in the report and at its place in the catalog.
"""

from deployengine.importing.octopus import Imported, import_octopus
from deployengine.importing.report import Loss

__all__ = ["Imported", "Loss", "import_octopus"]

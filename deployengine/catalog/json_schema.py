"""The JSON Schema of catalog files, by which people's editors complete and check them.

``python -m deployengine.catalog.json_schema > config/catalog.schema.json`` writes it anew.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from deployengine.catalog.schema import CatalogFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of one catalog file, draft 2020-12."""
    return {"$schema": DIALECT, **CatalogFile.model_json_schema(), "title": "deployengine catalog"}


def text() -> str:
    """The schema as it stands in ``config/catalog.schema.json``."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())

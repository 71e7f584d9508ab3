"""References to secrets: a sensitive variable of a variable set, read when it is needed."""

from __future__ import annotations

from deployengine.domain.planning import Unseal
from deployengine.domain.variables import Sealed, key
from deployengine.persistence import Transaction


def secret_of(tx: Transaction, unseal: Unseal, variable_set: str, variable: str) -> str | None:
    """The value that applies everywhere; ``None`` where there is none in today's catalog."""
    document = tx.catalog.find("variable_set", [variable_set]).get(variable_set, {})
    for each in document.get("variables", ()):
        if key(each["name"]) == key(variable) and not each.get("scope"):
            value = each["value"]
            return value if isinstance(value, str) else unseal(Sealed(**value))
    return None

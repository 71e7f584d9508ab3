"""What a script set as outputs, on its way into the database: sealed where it tells of a secret."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from deployengine.steps.secret_patterns import secret_patterns

log = logging.getLogger("deployengine.runs")

Seal = Callable[[str], dict[str, str]]


def outputs_to_store(
    outputs: Mapping[str, str], secrets: frozenset[str], seal: Seal
) -> dict[str, str | dict[str, str]]:
    """The outputs; a value with a form of a secret in it is sealed, be the secret ever so short.

    An output whose very name holds one is left out, since names are shown. If nobody can tell, all
    of them are left out.
    """
    try:
        patterns = secret_patterns(secrets)
        named = {name for name in outputs if patterns.stand_in(name)}
        telling = {
            name
            for name, value in outputs.items()
            if patterns.stand_in(value) or any(secret in value for secret in secrets)
        }
    except Exception as error:
        # Only its kind: its text may hold what is to be hidden.
        log.error("no output is kept, as nobody can tell what is secret: %s", type(error).__name__)
        return {}
    if named:
        log.warning("%d outputs are left out, as their names hold secrets", len(named))
    return {
        name: seal(value) if name in telling else value
        for name, value in outputs.items()
        if name not in named
    }

"""Outages: what has to be on record is tried until the database answers again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from deployengine import failpoints
from deployengine.domain.errors import Unreachable

log = logging.getLogger("deployengine.outage")

#: Seconds between two tries.
PAUSE = 1.0

T = TypeVar("T")


def outlast(act: Callable[[], T], what: str) -> T:
    """Does it until the database lets it be done; it may have been done in a try that failed."""
    never = threading.Event()
    while True:
        try:
            return act()
        except Unreachable as error:
            if failpoints.left_out("outlast"):
                raise
            log.warning("%s has to wait: %s", what, error)
            never.wait(PAUSE)

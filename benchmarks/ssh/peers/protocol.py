"""What is common to the peers' programs; they run in an environment of their own.

A program is given one JSON document on its command line: ``machines`` (name, port, user, identity),
``known_hosts``, ``scripts`` (name and text), ``pool`` and a ``folder`` of its own. It connects to
all machines, says "ready", waits for a line, runs all scripts on all machines, and says "done".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


def task() -> Any:
    """What is to be done, as an object with attributes."""
    return json.loads(sys.argv[1], object_hook=lambda found: SimpleNamespace(**found))


def carry_out(run: Callable[[], None]) -> None:
    """Runs when told to."""
    print("ready", flush=True)
    sys.stdin.readline()
    run()
    print("done", flush=True)
    sys.stdin.readline()  # its processes are looked at before they end

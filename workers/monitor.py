"""Flower on the engine's broker."""

from __future__ import annotations

import os

from deployengine.queue.app import make_app


def run_flower(address: str, port: int) -> int:
    """Serves Flower until it is told to stop.

    The broker's URL comes by environment (``FLOWER_BROKER``) and so does the password
    (``FLOWER_BASIC_AUTH``, which Flower reads itself), since anybody may read a command line.
    """
    app = make_app(os.environ.pop("FLOWER_BROKER"))
    app.start(["flower", f"--address={address}", f"--port={port}"])
    return 0

"""What a test needs of its host: without it it is skipped, but in CI (``CI`` is set) it fails."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Ends a test, as its host lacks something."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; in CI that is a failure")
    pytest.skip(what)


def need_root() -> None:
    """Ends a test that only root can do."""
    if os.geteuid() != 0:
        lacking("only root can do this")

"""One live engine a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.engine import LiveEngine


@pytest.fixture
def engine() -> Iterator[LiveEngine]:
    """An engine without processes yet; at the end nothing of it may be left."""
    with LiveEngine() as live:
        yield live

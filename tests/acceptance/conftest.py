"""One live engine a test; when the test fails, what its processes said is shown."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.support.engine import LiveEngine

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes for the fixture whether the test itself has failed."""
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[LiveEngine]:
    """An engine without processes yet; at the end nothing of it may be left."""
    with LiveEngine() as live:
        yield live
        if request.node.stash.get(_FAILED, False):
            live.check_at_end = False

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


def has_failed(request: pytest.FixtureRequest) -> bool:
    """Whether the test has failed; for a fixture that wants to know when it ends."""
    return bool(request.node.stash.get(_FAILED, False))


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[LiveEngine]:
    """An engine without processes yet; at the end nothing of it may be left."""
    with LiveEngine() as live:
        yield live
        live.check_at_end = not has_failed(request)

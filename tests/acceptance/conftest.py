"""Live engines for tests; when one fails, what the processes said is shown."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import redirect_stderr, redirect_stdout

import pytest

from deployengine.cli.main import main
from tests.support.engine import Answer, LiveEngine

#: Says a command, given by its words.
Say = Callable[..., Answer]

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


@pytest.fixture(scope="module")
def installation() -> Iterator[LiveEngine]:
    """An engine with one worker of five slots, for all tests of a module."""
    with LiveEngine() as live:
        live.worker(task_cap=5)
        yield live


@pytest.fixture
def running(request: pytest.FixtureRequest, installation: LiveEngine) -> Iterator[LiveEngine]:
    """The module's engine, at rest; a test brings a catalog with names of its own."""
    yield installation
    if has_failed(request):
        sys.stderr.write(installation.logs())
    installation.come_to_rest()


@pytest.fixture
def say(running: LiveEngine, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Says commands to the module's engine."""
    return saying_to(running, monkeypatch)


def saying_to(engine: LiveEngine, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Says commands to an engine in this process, which costs no start of another."""
    monkeypatch.setenv("DEPLOYENGINE_HOME", str(engine.home))
    monkeypatch.chdir(engine.scratch)

    def said(*words: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main(list(words), engine.clock)
        return Answer(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    return said

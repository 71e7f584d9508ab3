"""An engine that a test carries on by hand, and that commands find as theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis
from cryptography.fernet import Fernet

from deployengine.cli.main import main
from tests.support.fakes import House
from tests.support.servers import RedisServer


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Say(Protocol):
    """Gives a command, and sees to it that it ends with this code."""

    def __call__(self, *arguments: str, code: int = 0) -> Said: ...


@pytest.fixture
def house(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    redis_client: redis.Redis,
    redis_server: RedisServer,
) -> Iterator[House]:
    """One without a catalog yet; commands are given by carol, by the clock of the engine."""
    key = Fernet.generate_key().decode()
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "DEBUG", "MASTER_KEY_FILE", "SETTINGS"):
        monkeypatch.delenv(f"DEPLOYENGINE_{name}", raising=False)
    monkeypatch.setenv("DEPLOYENGINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEPLOYENGINE_REDIS_URL", redis_server.url)
    monkeypatch.setenv("DEPLOYENGINE_MASTER_KEY", key)
    monkeypatch.setenv("DEPLOYENGINE_USER", "carol")
    with House(tmp_path / "home", redis_client, master_key=key) as house:
        house.handoff.rebuild()
        yield house


@pytest.fixture
def say(house: House, capsys: pytest.CaptureFixture[str]) -> Say:
    def say(*arguments: str, code: int = 0) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments), house.clock)
        told = capsys.readouterr()
        assert (ended.value.code or 0) == code, told
        return Said(told.out, told.err)

    return say

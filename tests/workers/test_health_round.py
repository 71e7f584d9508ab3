"""How often housekeeping looks which machines are due."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployengine.services import Services
from deployengine.settings import Settings
from workers.processes import HEALTH_EVERY, SOONEST, health_round


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(3600.0, HEALTH_EVERY), (0.0, HEALTH_EVERY), (2.0, 2.0), (0.01, SOONEST)],
)
def test_it_is_often_enough_for_the_interval_and_never_all_the_time(
    tmp_path: Path, interval: float, expected: float
) -> None:
    services = Services(Settings(home=tmp_path, health_interval=interval))
    assert health_round(services) == expected

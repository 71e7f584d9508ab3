from __future__ import annotations

from deployengine.steps.wake import Wake


def test_a_bell_stays_set_until_it_is_cleared_however_often_it_rang() -> None:
    with Wake() as wake:
        assert not wake.is_set()
        for _ in range(100_000):  # more than a pipe holds
            wake.set()
        assert wake.is_set()
        wake.clear()
        assert not wake.is_set()

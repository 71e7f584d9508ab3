"""``systemd`` steps, in every shell, against what systemd's documents say: none runs here."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from deployengine.domain.filling import BadValue, SecretOnCommandLine
from deployengine.domain.tools import UNIT_ACTIONS, UnitAction
from tests.recipes import fakes
from tests.recipes.conftest import Place, made, secrets, values
from tests.recipes.fakes import Fake
from tests.support.sshd import tool

#: Times that no test waits for; those that it does wait for are short.
LONG, SHORT = 60.0, 0.3

GOOD = [["active", "a1"]]


def step(*units: str, **more: Any) -> UnitAction:
    return UnitAction(units or ("shop",), **{"active_within": LONG, "stable": 0.05, **more})


def unit(*states: list[str], **more: Any) -> dict[str, Any]:
    return {"states": [*states], **more}


@pytest.fixture
def systemd(place: Place) -> Fake:
    return fakes.put("systemctl", place.bin, "systemctl", "journalctl")


def actions(systemd: Fake) -> list[str]:
    """What was done, without the looks."""
    common = "systemctl --system --no-ask-password --no-pager "
    return [call.removeprefix(common) for call in systemd.calls() if " show " not in call]


def test_a_unit_is_restarted_and_is_active_afterwards(place: Place, systemd: Fake) -> None:
    systemd.tell(units={"shop": unit(["activating", "a1"], ["activating", "a1"], *GOOD)})
    done = place.carry_out(step())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "systemctl --system restart shop",
        "shop is active, for 0.05 s",
    ]
    assert actions(systemd) == ["restart -- shop"]


def test_what_is_done_is_not_waited_for_longer_than_for_its_end(
    place: Place, systemd: Fake
) -> None:
    systemd.tell(units={"shop": unit(["activating", "a1"], stuck=True)})
    done = place.carry_out(step(active_within=1.0))
    assert done.returncode == 1
    assert done.stderr.endswith("systemctl restart shop did not end within 1 s\n")


def test_it_must_stay_active(place: Place, systemd: Fake) -> None:
    systemd.tell(units={"shop": unit(["active", "a1"], ["activating", "a1"], *GOOD)})
    done = place.carry_out(step(stable=0.1))
    assert done.returncode == 0
    assert sum(" show " in call for call in systemd.calls()) >= 4


def test_settings_of_units_are_read_again_first_where_that_is_said(
    place: Place, systemd: Fake
) -> None:
    systemd.tell(units={"shop": unit(*GOOD)})
    assert place.carry_out(step(daemon_reload=True)).returncode == 0
    assert actions(systemd) == ["daemon-reload", "restart -- shop"]


def test_a_unit_that_has_failed_is_shown_at_once(place: Place, systemd: Fake) -> None:
    broken = unit(["activating", "a1"], ["failed", "a1"], lines=["cannot bind to port 80"])
    systemd.tell(units={"shop": broken, "cache": unit(*GOOD)})
    done = place.carry_out(step("cache", "shop"))
    assert done.returncode == 1
    assert done.stderr == "cache is active, shop is failed\n"
    assert "● shop - Of the test\n     Active: failed\ncannot bind to port 80\n" in done.stdout
    assert "● cache" not in done.stdout
    assert actions(systemd) == [
        "restart -- cache shop",
        "status --full --lines=0 -- shop",
        "journalctl --no-pager --lines=30 --unit=shop",
    ]


def test_a_unit_that_does_not_become_active_in_time_has_failed(place: Place, systemd: Fake) -> None:
    systemd.tell(units={"shop": unit(["activating", "a1"]), "cache": unit(*GOOD)})
    done = place.carry_out(step("shop", "cache", active_within=SHORT))
    assert done.returncode == 1
    assert done.stderr == (
        "not active and staying so within 0.30 s: shop is activating, cache is active\n"
    )
    assert "● shop" in done.stdout
    assert "● cache" not in done.stdout


def test_a_unit_that_ends_and_is_started_again_and_again_has_failed(
    place: Place, systemd: Fake
) -> None:
    lives = [["active", f"a{n}"] for n in range(2000)]
    systemd.tell(units={"shop": unit(*lives)})
    done = place.carry_out(step(active_within=SHORT, stable=0.4))
    assert done.returncode == 1
    assert "not active and staying so within 0.30 s: shop is active" in done.stderr
    assert "● shop" in done.stdout


def test_who_is_active_just_in_time_may_show_that_it_stays(dash: Place) -> None:
    fakes.put("systemctl", dash.bin, "systemctl", "journalctl").tell(units={"shop": unit(*GOOD)})
    done = dash.carry_out(step(active_within=2.0, stable=2.5))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "shop is active, for 2.50 s")


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_a_stopped_unit_does_not_run_any_more(place: Place, systemd: Fake, state: str) -> None:
    """Many programs end with a code of their own when they are stopped: failed, to systemd."""
    systemd.tell(units={"shop": unit(["deactivating", "a1"], [state, ""])})
    done = place.carry_out(step(action="stop"))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == f"shop is {state}, for 0.05 s"


def test_what_does_not_stop_is_told(place: Place, systemd: Fake) -> None:
    systemd.tell(units={"shop": unit(["deactivating", "a1"])})
    done = place.carry_out(step(action="stop", active_within=SHORT))
    assert "not inactive and staying so within 0.30 s: shop is deactivating" in done.stderr


@pytest.mark.parametrize("action", ["enable", "disable"])
def test_what_makes_no_unit_run_is_not_waited_for(place: Place, systemd: Fake, action: str) -> None:
    systemd.tell(units={"shop": unit(["inactive", ""])})
    done = place.carry_out(step(action=action))
    assert (done.returncode, done.stderr) == (0, "")
    assert systemd.calls() == [f"systemctl --system --no-ask-password --no-pager {action} -- shop"]


@pytest.mark.parametrize("action", [name for name, wanted in UNIT_ACTIONS.items() if wanted])
def test_every_other_action_ends_with_an_active_unit(
    place: Place, systemd: Fake, action: str
) -> None:
    systemd.tell(units={"shop": unit(["reloading", "a1"], *GOOD)})
    assert place.carry_out(step(action=action)).returncode == 0
    assert actions(systemd) == [f"{action} -- shop"]


def test_what_systemctl_refuses_is_told_with_what_can_be_seen(place: Place, systemd: Fake) -> None:
    systemd.tell(units={})
    done = place.carry_out(step("shopp"))
    assert done.returncode == 1
    assert "Failed to restart shopp: Unit shopp not found." in done.stderr
    assert done.stderr.endswith("systemctl restart shopp ended with 5\n")


def test_units_of_a_user_are_reached_without_a_session(place: Place, systemd: Fake) -> None:
    systemd.tell(units={"shop": unit(["failed", ""], lines=["oh"])})
    uid = subprocess.run(["id", "-u"], capture_output=True, text=True, check=True).stdout.strip()
    done = place.carry_out(step(scope="user"))
    assert done.returncode == 1
    known = f"(XDG_RUNTIME_DIR=/run/user/{uid})"
    first, *_, last = systemd.calls()
    assert first == f"systemctl --user --no-ask-password --no-pager restart -- shop {known}"
    assert last == "journalctl --no-pager --lines=30 --user-unit=shop"


def test_a_machine_without_systemd_is_told(place: Place) -> None:
    done = place.carry_out(step())
    assert (done.returncode, done.stderr) == (
        1,
        "a systemd step needs systemctl, which this machine lacks\n",
    )


def test_variables_go_into_everything(place: Place, systemd: Fake) -> None:
    systemd.tell(units={"shop@7.service": unit(*GOOD), "b": unit(*GOOD)})
    said = UnitAction(
        ["shop@#{N}.service", "#{None}", "b"], "#{Do}", "#{W}", "#{S}", "#{Of}", "#{R}"
    )
    found = values(N="7", None_="", Do="start", W="1m", S="0.05", Of="system", R="True")
    found["none"] = found.pop("none_")
    done = place.carry_out(said, found)
    assert (done.returncode, done.stderr) == (0, "")
    assert actions(systemd) == ["daemon-reload", "start -- shop@7.service b"]


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("unit", "a b", "unit is no name of a unit"),
        ("unit", "--now", "unit is no name of a unit"),
        ("unit", "sho*", "unit is no name of a unit"),
        ("unit", "", "unit comes to nothing"),
        ("action", "restrat", "action must be restart"),
        ("scope", "global", "scope must be system, user"),
        ("active_within", "x", "active_within is no span of time"),
    ],
)
def test_values_that_cannot_be_used_are_told_before_anything_runs(
    key: str, value: str, why: str
) -> None:
    said: dict[str, Any] = {"unit": ["shop"], key: ["#{V}"] if key == "unit" else "#{V}"}
    with pytest.raises(BadValue) as caught:
        made(UnitAction(**said), values(V=value))
    assert str(caught.value).startswith(why)


def test_a_secret_comes_to_no_command_line() -> None:
    with pytest.raises(SecretOnCommandLine):
        made(UnitAction(["#{V}"]), secrets(V="shop"))


def test_the_real_systemctl_knows_every_word_that_is_said_to_it(dash: Place) -> None:
    """No systemd answers it here; an option that it did not know would be told before that."""
    for name in ("systemctl", "journalctl"):
        dash.program(
            name, f'#!/bin/sh\n{tool(name)} "$@" 2>> "$HOME/told"\necho "$?" >> "$HOME/codes"\n'
        )
    dash.carry_out(step(daemon_reload=True, active_within=SHORT))
    dash.carry_out(step(scope="user", active_within=SHORT))
    told = (dash.folder / "told").read_text()
    assert "unrecognized" not in told
    assert "unknown" not in told.lower()
    assert len((dash.folder / "codes").read_text().split()) > 5

"""Outputs that scripts set: what tells of a secret is stored sealed."""

from __future__ import annotations

import base64

import pytest

from deployengine.domain.deployment import RunState
from deployengine.engine.set_outputs import outputs_to_store
from tests.acceptance.catalogs import catalog, project, step
from tests.support.fakes import House

SECRET = "wholly-5ecret"
SENSITIVE = [{"name": "Token", "value": SECRET, "sensitive": True}]


def seal(text: str) -> dict[str, str]:
    return {"cipher": f"sealed {text[::-1]}", "mac": ""}


def stored(outputs: dict[str, str], *secrets: str) -> dict[str, bool]:
    """Which of the outputs are sealed."""
    found = outputs_to_store(outputs, frozenset(secrets), seal)
    return {name: not isinstance(value, str) for name, value in found.items()}


def test_a_value_with_a_form_of_a_secret_in_it_is_sealed_and_others_are_not() -> None:
    outputs = {
        "Plain": "8081",
        "Itself": f"user:{SECRET}@host",
        "Base64": base64.b64encode(f"user:{SECRET}".encode()).decode(),
        "Wrapped": base64.encodebytes(f"{'x' * 50}{SECRET}{'y' * 50}".encode()).decode(),
        "Hex": SECRET.encode().hex(),
        "Line": "two",
    }
    sealed = stored(outputs, SECRET, "one\ntwo\n")
    assert [name for name, is_sealed in sealed.items() if not is_sealed] == ["Plain"]


def test_a_secret_too_short_to_be_masked_is_sealed_all_the_same() -> None:
    assert stored({"Pin": "42", "Port": "8080"}, "42") == {"Pin": True, "Port": False}


def test_an_output_whose_name_holds_a_secret_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert stored({f"a {SECRET}": "1", "b": "2"}, SECRET) == {"b": False}
    assert "names hold secrets" in caplog.text
    assert SECRET not in caplog.text


def test_if_nobody_can_tell_nothing_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(str):
        def __hash__(self) -> int:
            return 0

        def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
            raise MemoryError(str(self))

    assert outputs_to_store({"a": Broken("x" * 9)}, frozenset({SECRET}), seal) == {}
    assert "MemoryError" in caplog.text
    assert "xxx" not in caplog.text


def test_what_was_made_of_a_secret_is_sensitive_in_later_steps(house: House) -> None:
    first = "get_variable Token | base64 | set_output --stdin Coded\nset_output Port 8081\n"
    second = "echo '#{Octopus.Action[Make].Output.Coded} #{Octopus.Action[Make].Output.Port}'\n"
    steps = [step(first, "Make"), step(second, "Use")]
    house.apply(catalog(project("app", process=steps, variables=SENSITIVE)))
    house.create("app")
    house.deliver_all()

    made, used = house.detail(1).runs
    assert (made.state, used.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert made.outputs is not None
    assert set(made.outputs) == {"Coded", "Port"}
    assert isinstance(made.outputs["Coded"], dict)
    assert made.outputs["Port"] == "8081"
    assert house.queries.output(used.id)[-1][1] == "******** 8081\n"

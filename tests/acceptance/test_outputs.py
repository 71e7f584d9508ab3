"""What one step sets, later steps find."""

from __future__ import annotations

from tests.acceptance.catalogs import catalog, project, step
from tests.support.engine import LiveEngine


def test_a_later_step_finds_the_output_of_an_earlier_one(engine: LiveEngine) -> None:
    ask = 'echo "the port is $(get_variable "Octopus.Action[Choose].Output.Port")"\n'
    process = [step("set_output Port 8081\n", "Choose"), step(ask, "Use")]
    engine.apply(catalog(project("app", process=process)))
    engine.worker()
    (deployment,) = engine.create("app")
    assert engine.await_end(deployment.id) == "succeeded"
    said = engine.cli("deployment", "log", f"dep-{deployment.id}", "--step", "Use").out
    assert "the port is 8081" in said

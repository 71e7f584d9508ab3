"""Conditions, loops and filters in a script that a worker runs on a machine."""

from __future__ import annotations

from base64 import b64encode

from tests.acceptance.catalogs import catalog, machine, project, step
from tests.support.engine import LiveEngine

TOKEN = "wholly-5ecret"

VARIABLES = [
    {"name": "Name", "value": "it's $HOME"},
    {"name": "Loud", "value": "yes", "scope": {"environments": ["QA"]}},
    {"name": "Token", "value": TOKEN, "sensitive": True},
]

SCRIPT = """
#{if Loud}
echo "loud: #{Name | ToUpper}"
#{else}
exit 9
#{/if}
#{each m in Octopus.Action[Choose].Output}
echo port #{m | Append "=" #{m.Port}}
#{/each}
echo token #{Token | ToBase64}, #{Token | Truncate 6 ""}
"""


def test_a_script_runs_as_its_conditions_loops_and_filters_make_it(engine: LiveEngine) -> None:
    choose = step('set_output Port "80$(printf %s "$DEPLOYENGINE_MACHINE" | wc -c)"\n', "Choose")
    there = catalog(
        project("app", variables=VARIABLES, process=[choose, step(SCRIPT, "Use")]),
        machines=[machine("qa-1", "QA"), machine("qa-22", "QA")],
    )
    engine.apply(there)
    engine.worker()
    (deployment,) = engine.create("app")
    assert engine.await_end(deployment.id) == "succeeded"
    said = engine.cli("deployment", "log", f"dep-{deployment.id}", "--step", "Use").out
    for line in ("loud: IT'S $HOME", "port qa-1=804", "port qa-22=805", "token ********, ********"):
        assert said.count(line) == 2, said
    for secret in (TOKEN, TOKEN[:6], b64encode(TOKEN.encode()).decode()):
        assert secret not in said

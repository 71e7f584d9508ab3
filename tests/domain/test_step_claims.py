"""What steps hold: the machine whole or shared, what they touch, or nothing that anybody wants."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.domain.admission import Claim, Mode
from deployengine.domain.environment import Machine
from deployengine.domain.flags import BYPASS
from deployengine.domain.plan import ELSEWHERE, PlannedRun
from deployengine.domain.planning import Destination, plan
from deployengine.domain.release import Snapshot
from deployengine.domain.sharing import shared_by_bypass
from tests.domain.test_plan import EXCLUSIVE, SHARED, Opener, release, value

WEB = tuple(Machine(f"web-{n}", ("QA",), ("web",)) for n in (1, 2))
FEW = Machine("few", ("QA",), ("few",), max_concurrent=2)
CONTROL = Machine("control", ("Infrastructure",), (), max_concurrent=3)

HTTP = {"name": "Look", "kind": "http", "url": "http://localhost", "roles": ["web"]}
UNIT = {"name": "Restart", "kind": "systemd", "unit": ["shop"], "roles": ["web"]}
UP = {"name": "Up", "kind": "docker-compose", "files": ["c.yaml"], "roles": ["web"]}
PLAY = {
    "name": "Configure", "kind": "ansible", "playbook": "site.yaml", "runs_on": "control",
    "roles": ["web"],
}  # fmt: skip
TOUCHES = [{"resource": "conf"}, {"resource": "all", "everywhere": True}]
BYPASSED = value(BYPASS, "True")


def runs(
    step: dict[str, Any], *variables: dict[str, Any], share: int | None = None
) -> tuple[PlannedRun, ...]:
    bound = None if share is None else Claim("share:QA", Mode.SHARED, share)
    to = Destination("QA", "first", (*WEB, FEW), bound, (*WEB, FEW, CONTROL))
    (planned,) = plan(release(*variables, steps=(step,)), to, Opener()).steps
    return planned.runs


def test_a_look_holds_nothing_that_others_could_want() -> None:
    (run, _) = runs(HTTP)
    assert run.claims == (Claim("look:web-1", SHARED),)
    assert run.own_lock == ELSEWHERE
    assert run.mode_on(run.where) is None


@pytest.mark.parametrize("variables", [(), (BYPASSED,), (value(BYPASS, "perhaps"),)])
def test_the_bypass_makes_no_difference_to_a_look(variables: tuple[dict[str, Any], ...]) -> None:
    assert runs(HTTP, *variables) == runs(HTTP)
    snapshot = release(BYPASSED, steps=[HTTP])
    planned = plan(snapshot, Destination("QA", "first", WEB), Opener())
    assert shared_by_bypass(planned, snapshot.process) == {}


def test_a_look_takes_what_it_touches_and_its_share_of_the_cap() -> None:
    assert runs({**HTTP, "touches": TOUCHES}, share=5)[0].claims == (
        Claim("look:web-1", SHARED),
        Claim("resource:web-1/conf", EXCLUSIVE),
        Claim("resource:all", EXCLUSIVE),
        Claim("share:QA", SHARED, 5),
    )


def test_a_look_from_another_machine_holds_nothing_there_either() -> None:
    (run, _) = runs({**HTTP, "runs_on": "control"})
    assert (run.claims, run.where) == ((Claim("look:control", SHARED),), CONTROL)
    assert run.mode_on(CONTROL) is None


def test_a_deployment_that_holds_its_machines_does_not_hold_looks() -> None:
    frozen = release(steps=[HTTP, UNIT]).document
    snapshot = Snapshot({**frozen, "mutex": "deployment"})
    planned = plan(snapshot, Destination("QA", "first", WEB), Opener())
    assert {claim.resource for claim in planned.holds} == {"machine:web-1", "machine:web-2"}


@pytest.mark.parametrize("step", [UNIT, UP])
def test_what_changes_a_machine_has_it_as_a_script_does(step: dict[str, Any]) -> None:
    assert runs(step)[0].claims == (Claim("machine:web-1", EXCLUSIVE),)
    assert runs(step, BYPASSED)[0].claims == (Claim("machine:web-1", SHARED),)
    assert runs({**step, "runs_on": "control"})[0].claims == (Claim("machine:control", EXCLUSIVE),)


def test_a_playbook_has_the_machine_that_it_changes_and_shares_the_one_that_it_runs_on() -> None:
    (run, _) = runs(PLAY)
    assert run.claims == (Claim("machine:control", SHARED, 3), Claim("machine:web-1", EXCLUSIVE))
    assert run.own_lock == ELSEWHERE
    assert run.touched == run.claims
    assert (run.mode_on(run.where), run.mode_on(run.machine)) == (SHARED, EXCLUSIVE)


def test_what_a_playbook_touches_is_of_the_machine_that_it_changes() -> None:
    assert runs({**PLAY, "touches": TOUCHES})[0].claims == (
        Claim("machine:control", SHARED, 3),
        Claim("machine:web-1", SHARED),
        Claim("resource:web-1/conf", EXCLUSIVE),
        Claim("resource:all", EXCLUSIVE),
    )


def test_of_two_limits_that_of_the_machine_that_is_changed_counts() -> None:
    play = {**PLAY, "roles": ["few"]}
    assert runs(play, share=5)[0].claims == (
        Claim("machine:control", SHARED, 3),
        Claim("machine:few", EXCLUSIVE),
    )
    assert runs(play, BYPASSED, share=5)[0].claims == (
        Claim("machine:control", SHARED),
        Claim("machine:few", SHARED, 2),
    )


def test_a_bypass_is_told_of_the_machine_that_a_playbook_changes() -> None:
    snapshot = release(BYPASSED, steps=[PLAY])
    to = Destination("QA", "first", WEB, everywhere=(*WEB, CONTROL))
    planned = plan(snapshot, to, Opener())
    assert shared_by_bypass(planned, snapshot.process) == {"Configure": ["web-1", "web-2"]}
    unshared = release(steps=[PLAY])
    assert shared_by_bypass(plan(unshared, to, Opener()), unshared.process) == {}


def test_a_playbook_that_runs_where_it_changes_something_has_that_machine() -> None:
    (run, _) = runs({**PLAY, "runs_on": "#{Octopus.Machine.Name}"})
    assert run.claims == (Claim("machine:web-1", EXCLUSIVE),)
    assert run.own_lock == "exclusive"

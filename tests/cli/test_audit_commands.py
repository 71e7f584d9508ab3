"""``audit``: each command that changes something is on record with who gave it, and checked."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from deployengine.cli.main import main
from deployengine.domain.audit import Action
from deployengine.domain.availability import MachineMode
from deployengine.domain.identity import run_id
from deployengine.engine.batches import Row
from deployengine.engine.questions import CHOICES, Answer, Asks
from deployengine.engine.releases import Wanted
from tests.acceptance.catalogs import bypassing, catalog, machine, project, step
from tests.steps.conftest import sshd
from tests.support.fakes import House

WHO = "alice@example.org"
#: Fails until somebody has mended the machine.
FAILS = "test -e mended\n"
APPROVE = {"name": "Approve", "kind": "manual", "instructions": "look at it"}
#: Is gone without a word.
GONE = step("kill -9 0\n", on_unknown="ask")
QA = {"name": "QA", "manual": ["QA"], "keep_releases": 1}
PARTS: dict[str, Any] = {
    "environments": ["QA"],
    "machines": [machine("qa-1", "QA", connection={"kind": "local", "workdir": "machines/qa-1"})],
    "lifecycles": [{"name": "auto", "phases": [QA]}],
}


ALWAYS = {"name": "always", "from": "2020-01-01T00:00", "to": "2090-01-01T00:00"}


def shop(*extra: dict[str, Any]) -> dict[str, Any]:
    return catalog(
        project("app", "true\n"),
        project("careful", process=[APPROVE, step("true\n")]),
        project("guided", FAILS, guided_failure=True),
        project("failing", FAILS),
        project("lost", process=[GONE]),
        project("sharing", "true\n", variables=[bypassing("True")]),
        *extra,
        **PARTS,
    )


@pytest.fixture
def house(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """The engine of all commands' tests with a catalog; commands are given by another one."""
    monkeypatch.setenv("DEPLOYENGINE_USER", WHO)
    house.apply(shop())
    return house


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Any:
    """Says a command; returns the document that it answered with."""

    def say(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert run(*arguments, "--json") == code
        out, err = capsys.readouterr()
        return json.loads(out) if out else err

    return say


# ---- every command ----


def deployed(house: House, name: str) -> int:
    """A release of the project that has been deployed as far as it comes."""
    house.releases.create(Wanted(name, "1.0"))
    number = house.deployments.deploy(name, "1.0", "QA").id
    house.deliver_all()
    return number


def asking(house: House, name: str) -> str:
    """The id of the run that asks, once the project has been deployed."""
    deployed(house, name)
    (asked,) = house.queries.inbox()
    return run_id(asked.run.id)


def queued(house: House) -> str:
    """The id of a deployment that waits to begin."""
    house.releases.create(Wanted("app", "1.0"))
    return f"dep-{house.deployments.deploy('app', '1.0', 'QA').id}"


def waiting(house: House) -> str:
    """The id of a run that waits for its machine."""
    queued(house)
    house.deliver_chains()
    return "run-1"


def created(house: House, *versions: str, name: str = "app") -> None:
    """Releases that are deployed one after the other, but for the last."""
    for version in versions:
        house.releases.create(Wanted(name, version))
    for version in versions[:-1]:
        house.deployments.deploy(name, version, "QA")
        house.deliver_all()


def apply(house: House) -> list[str]:
    Path("catalog.yaml").write_text(json.dumps(shop(project("more", "true\n"))))
    return ["apply", "catalog.yaml"]


def deploy(house: House) -> list[str]:
    created(house, "1.0")
    return ["release", "deploy", "app", "1.0", "QA"]


def override(house: House) -> list[str]:
    house.apply({**shop(), "freezes": [ALWAYS]})
    return [*deploy(house), "--override-freeze", "a leak"]


def share(house: House) -> list[str]:
    created(house, "1.0", name="sharing")
    return ["release", "deploy", "sharing", "1.0", "QA"]


def roll_back(house: House) -> list[str]:
    created(house, "1.0", "2.0", "3.0")
    return ["release", "rollback", "app", "QA"]


def refresh(house: House) -> list[str]:
    created(house, "1.0")
    there = shop()
    there["projects"][0]["variables"] = [
        {"name": "Token", "value": "wholly-5ecret", "sensitive": True},
        {"name": "Colour", "value": "blue"},
    ]
    house.apply(there)
    return ["release", "refresh-variables", "app", "1.0"]


def block(house: House) -> list[str]:
    created(house, "1.0")
    return ["release", "block", "app", "1.0", "--reason", "a leak"]


def unblock(house: House) -> list[str]:
    created(house, "1.0")
    house.releases.block("app", "1.0", "bob", "a leak")
    return ["release", "unblock", "app", "1.0"]


def cancel_release(house: House) -> list[str]:
    queued(house)
    return ["release", "cancel", "app", "1.0"]


def retry(house: House) -> list[str]:
    return ["deployment", "retry", f"dep-{deployed(house, 'failing')}"]


def run_batch(house: House) -> list[str]:
    Path("batch.csv").write_text("project,version\napp,1.0\n")
    return ["batch", "run", "batch.csv", "--name", "nightly"]


def cancel_batch(house: House) -> list[str]:
    house.batches.run([Row(Wanted("app", "1.0"))], "nightly")
    return ["batch", "cancel", "nightly"]


def retain(house: House) -> list[str]:
    created(house, "1.0", "2.0", "3.0", "4.0")
    return ["retention", "apply"]


def disable(house: House) -> list[str]:
    return ["machine", "disable", "qa-1", "--reason", "new disk"]


def enable(house: House) -> list[str]:
    house.machines.set_mode(["qa-1"], MachineMode.DISABLED, None, "bob")
    return ["machine", "enable", "qa-1"]


def reach_by_ssh(house: House) -> None:
    """A catalog with a machine that is reached by SSH."""
    far = machine("far", "QA", connection=sshd().connection("work", host_key=[]))
    del far["connection"]["host_key"]
    parts = {**PARTS, "machines": [*PARTS["machines"], far]}
    house.apply(catalog(project("app", "true\n"), **parts))


def trust(house: House) -> list[str]:
    reach_by_ssh(house)
    return ["machine", "trust", "far", "--fingerprint", sshd().host_key]


def distrust(house: House) -> list[str]:
    assert run(*trust(house)) == 0
    return ["machine", "distrust", "far"]


def answer(how: Answer) -> Callable[[House], list[str]]:
    commands = {
        Asks.END: lambda run: ["deployment", "answer", run, how.value],
        Asks.APPROVAL: lambda run: ["approve", run, *["--abort"][: how is Answer.ABORT]],
        Asks.GUIDANCE: lambda run: ["guide", run, how.value],
    }
    projects = {Asks.END: "lost", Asks.APPROVAL: "careful", Asks.GUIDANCE: "guided"}
    (asks,) = (asks for asks, answers in CHOICES.items() if how in answers)
    return lambda house: [*commands[asks](asking(house, projects[asks])), "--note", "I looked"]


#: By the action: how to come to where the command can be given, and whom it is about.
COMMANDS: dict[Action, tuple[Callable[[House], list[str]], str]] = {
    Action.CATALOG_APPLY: (apply, "catalog"),
    Action.RELEASE_CREATE: (lambda _: ["release", "create", "app", "1.0"], "release app 1.0"),
    Action.RELEASE_DEPLOY: (deploy, "dep-1"),
    Action.RELEASE_ROLLBACK: (roll_back, "dep-3"),
    Action.RELEASE_REFRESH: (refresh, "release app 1.0"),
    Action.RELEASE_BLOCK: (block, "release app 1.0"),
    Action.RELEASE_UNBLOCK: (unblock, "release app 1.0"),
    Action.DEPLOYMENT_RETRY: (retry, "dep-2"),
    Action.DEPLOYMENT_CANCEL: (lambda house: ["deployment", "cancel", queued(house)], "dep-1"),
    Action.DEPLOYMENT_TOP: (lambda house: ["deployment", "top", queued(house)], "dep-1"),
    Action.DEPLOYMENT_PRIORITISE: (
        lambda house: ["deployment", "prioritise", queued(house), "2"],
        "dep-1",
    ),
    Action.RUN_CANCEL: (lambda house: ["deployment", "cancel", waiting(house)], "run-1"),
    Action.BATCH_RUN: (run_batch, "batch nightly"),
    Action.BATCH_CANCEL: (cancel_batch, "batch nightly"),
    Action.FREEZE_OVERRIDE: (override, "dep-1"),
    Action.MUTEX_BYPASS: (share, "dep-1"),
    Action.RETENTION_APPLY: (retain, "retention"),
    Action.MACHINE_DISABLE: (disable, "machine qa-1"),
    Action.MACHINE_DRAIN: (lambda _: ["machine", "drain", "qa-1"], "machine qa-1"),
    Action.MACHINE_ENABLE: (enable, "machine qa-1"),
    Action.MACHINE_TRUST: (trust, "machine far"),
    Action.MACHINE_DISTRUST: (distrust, "machine far"),
    **{Action(f"answer.{how}"): (answer(how), "run-1") for how in Answer},
}


@pytest.mark.parametrize("action", COMMANDS)
def test_a_command_is_on_record_with_who_gave_it(house: House, say: Any, action: Action) -> None:
    arrange, subject = COMMANDS[action]
    words = arrange(house)
    before = house.audit_trail.latest(1)[0].id
    say(*words)
    found = [entry.event for entry in house.audit_trail.latest(100) if entry.id > before]
    assert {event.who for event in found if event} == {WHO}
    of_it = [event for event in found if event and event.action == action]
    assert [event.subject for event in of_it] == [subject]
    assert house.audit_trail.verify().broken is None


def test_every_action_has_its_command() -> None:
    others = {Action.SECRETS_ROTATE, Action.MACHINE_CATCH_UP}
    assert set(COMMANDS) == set(Action) - others, "keys, and what comes by itself, elsewhere"


def test_cancelling_a_release_is_on_record_with_each_of_its_deployments(
    house: House, say: Any
) -> None:
    say(*cancel_release(house))
    (latest,) = say("audit", "list", "--limit", "1")
    assert (latest["who"], latest["action"], latest["subject"]) == (
        WHO,
        "deployment.cancel",
        "dep-1",
    )
    assert latest["reason"] == "all of release app 1.0"


def test_changing_the_master_key_is_on_record_without_the_key(
    house: House, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old = Fernet.generate_key().decode(), house.settings.master_key
    monkeypatch.setenv("DEPLOYENGINE_MASTER_KEY", f"{new} {old}")
    done = say("secrets", "rotate")
    (latest,) = say("audit", "list", "--limit", "1")
    assert (latest["who"], latest["action"]) == (WHO, "secrets.rotate")
    assert latest["after"]["key"] == done["keys"][0]["key"]
    say("secrets", "rotate")
    assert say("audit", "list", "--limit", "1") == [latest], "nothing was left to do"
    assert new not in repr(latest)


def test_refreshed_variables_are_on_record_with_secrets_masked(house: House, say: Any) -> None:
    say(*refresh(house))
    (latest,) = say("audit", "list", "--limit", "1")
    token, colour = (change["new"] for change in latest["after"]["changes"])
    assert (token["name"], token["value"]) == ("Token", "********")
    assert (colour["name"], colour["value"]) == ("Colour", "blue")


def test_of_prompted_values_only_the_names_are_on_record(house: House, say: Any) -> None:
    prompted = {"name": "Ticket", "value": "", "prompt": {"label": "which?"}}
    house.apply(shop(project("asks", "true\n", variables=[prompted])))
    created(house, "1.0", name="asks")
    say("release", "deploy", "asks", "1.0", "QA", "--variable", "Ticket=wholly-5ecret")
    (latest,) = say("audit", "list", "--limit", "1")
    assert latest["after"]["values"] == ["Ticket"]
    assert "5ecret" not in repr(latest)
    assert "cipher" not in repr(latest)


def test_a_reason_is_kept_with_the_state_before_and_after(house: House, say: Any) -> None:
    say(*COMMANDS[Action.ANSWER_PROCEED][0](house))
    (latest,) = say("audit", "list", "--limit", "1")
    assert (latest["reason"], latest["before"], latest["after"]) == (
        "I looked",
        {"state": "pending"},
        {"state": "succeeded", "deployment": "dep-1"},
    )


# ---- who ----


def test_without_the_variable_it_is_the_user_of_the_operating_system(
    house: House, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEPLOYENGINE_USER")
    say("release", "create", "app", "1.0")
    assert say("audit", "list")[0]["who"] == getpass.getuser()


@pytest.mark.parametrize("name", ["a\nb", "x" * 256, "\x1b[31mroot"])
def test_a_name_that_is_none_is_refused_and_nothing_is_done(
    house: House, say: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("DEPLOYENGINE_USER", name)
    assert "DEPLOYENGINE_USER is no name" in say("release", "create", "app", "1.0", code=2)
    monkeypatch.setenv("DEPLOYENGINE_USER", WHO)
    assert [each["action"] for each in say("audit", "list")] == ["catalog.apply"]


# ---- list and show ----


def test_events_are_listed_by_what_one_asks_for(house: House, say: Any) -> None:
    say("release", "create", "app", "1.0")
    say("release", "create", "careful", "1.0")
    house.releases.block("app", "1.0", "bob", "a leak")

    def subjects(*options: str) -> list[str]:
        return [each["subject"] for each in say("audit", "list", *options)]

    everything = ["release app 1.0", "release careful 1.0", "release app 1.0", "catalog"]
    assert subjects() == everything
    assert subjects("--subject", "release app 1.0") == ["release app 1.0"] * 2
    assert subjects("--who", "bob") == ["release app 1.0"]
    assert subjects("--action", "release.create", "--limit", "1") == ["release careful 1.0"]
    assert subjects("--since", "1h") == everything
    assert subjects("--since", "2099-01-01") == []
    assert subjects("--since", house.clock.now().isoformat(), "--who", "nobody") == []


def test_what_was_answered_is_on_record_of_the_deployment(house: House, say: Any) -> None:
    run_ = asking(house, "guided")
    say("guide", run_, "fail", "--note", "I looked")
    of_all = {
        subject: [each["action"] for each in say("audit", "list", "--subject", subject)]
        for subject in ("dep-1", "DEP-1", run_)
    }
    assert of_all["dep-1"] == of_all["DEP-1"] == ["answer.fail", "release.deploy"]
    assert of_all[run_] == ["answer.fail"]


def test_a_release_is_a_subject_by_its_id_as_well(house: House, say: Any) -> None:
    house.releases.create(Wanted("app", "1.0"))
    by_id = say("audit", "list", "--subject", "rel-1")
    assert [each["subject"] for each in by_id] == ["release app 1.0"]
    assert by_id == say("audit", "list", "--subject", " release app 1.0 ")


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("catalogue", "there is no subject 'catalogue'; did you mean 'catalog'?"),
        ("release app 1.00", "did you mean 'release app 1.0'?"),
        ("dep-9", "there is no subject 'dep-9'"),
        ("run-9", "there is no subject 'run-9'"),
        ("rel-9", "there is no subject 'rel-9'"),
    ],
)
def test_a_subject_that_never_was_is_refused(
    house: House, say: Any, subject: str, said: str
) -> None:
    house.releases.create(Wanted("app", "1.0"))
    assert said in say("audit", "list", "--subject", subject, code=2)


def test_a_subject_that_is_there_and_has_no_event_is_no_fault(
    house: House, say: Any, capsys: Any
) -> None:
    queued(house)
    house.deliver_all()
    for subject in ("retention", "run-1", "machine qa-1"):
        assert say("audit", "list", "--subject", subject) == []
    assert run("audit", "list", "--subject", "run-1") == 0
    assert capsys.readouterr().out == "nothing is on record of that\n"


def test_an_event_is_shown_whole(house: House, say: Any, capsys: Any) -> None:
    house.releases.create(Wanted("app", "1.0"))
    house.releases.block("app", "1.0", "bob", "it [red]leaks[/]")
    shown = say("audit", "show", "3")
    assert (shown["id"], shown["who"], shown["reason"]) == (3, "bob", "it [red]leaks[/]")
    assert run("audit", "show", "3") == 0
    told = capsys.readouterr().out
    assert "reason: it [red]leaks[/]" in told
    assert "who: bob" in told
    assert run("audit", "list") == 0
    assert "it [red]leaks[/]" in capsys.readouterr().out
    assert "there is no event '99'" in say("audit", "show", "99", code=2)


@pytest.mark.parametrize(
    "wrong",
    [
        ("list", "--since", "yesterday"),
        ("list", "--action", "release.creat"),
        ("list", "--limit", "0"),
        ("show", "first"),
        ("verify", "--expect", "abc"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(house: House, say: Any, wrong: Any) -> None:
    said = say("audit", *wrong, code=2)
    assert len(said.splitlines()) == 2


# ---- verify ----


def test_a_trail_that_nobody_touched_is_right_and_tells_its_latest_hash(
    house: House, say: Any, capsys: Any
) -> None:
    house.releases.create(Wanted("app", "1.0"))
    latest = say("audit", "list")[0]
    checked = say("audit", "verify")
    assert checked == {
        "right": True,
        "events": 2,
        "head": latest["hash"],
        "expected_found": None,
        "broken": None,
    }
    assert run("audit", "verify") == 0
    assert f"2 events, all of them right\nthe latest has the hash {latest['hash']}" in (
        capsys.readouterr().out
    )


def test_one_that_was_tampered_with_is_told_with_the_first_that_is_wrong(
    house: House, say: Any, capsys: Any
) -> None:
    for version in ("1.0", "2.0", "3.0"):
        house.releases.create(Wanted("app", version))
    with house.database.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_event_kept"))
        connection.execute(text("DELETE FROM audit_event WHERE id = 3"))
    checked = say("audit", "verify", code=1)
    assert (checked["right"], checked["events"]) == (False, 2)
    assert checked["broken"] == {"event": 3, "flaw": "missing", "said": "event 3 is missing"}
    assert run("audit", "verify") == 1
    assert capsys.readouterr().out.startswith("event 3 is missing\n")


def test_an_end_that_was_cut_off_shows_only_by_a_hash_that_was_kept(
    house: House, say: Any, capsys: Any
) -> None:
    house.releases.create(Wanted("app", "1.0"))
    kept = say("audit", "verify")["head"]
    house.releases.create(Wanted("app", "2.0"))
    assert say("audit", "verify", "--expect", kept.upper())["expected_found"]
    with house.database.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_event_kept"))
        connection.execute(text("DELETE FROM audit_event WHERE id > 1"))
    assert say("audit", "verify")["right"]
    cut = say("audit", "verify", "--expect", kept, code=1)
    assert (cut["right"], cut["expected_found"], cut["broken"]) == (False, False, None)
    assert run("audit", "verify", "--expect", kept) == 1
    assert "the end was cut off" in capsys.readouterr().out

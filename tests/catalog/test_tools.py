"""Steps that have a tool do something: what a catalog may say of them, and every fault of it."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.catalog.diff import difference
from tests.catalog.conftest import Faults, Read
from tests.catalog.test_steps import STEP, process, rolling

HTTP = "kind: http, url: 'http://localhost'"
SYSTEMD = "kind: systemd, unit: shop"
COMPOSE = "kind: docker-compose, files: c.yaml"
ANSIBLE = "kind: ansible, playbook: site.yaml, runs_on: qa-1"
KINDS = [HTTP, SYSTEMD, COMPOSE, ANSIBLE]


def one(said: str) -> str:
    return process(f"{{name: S, {said}}}")


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        (HTTP, {"kind": "http", "url": "http://localhost"}),
        (f"{HTTP}, method: GET, expect: [200-399], every: 1s, answer_within: 10, successes: 1, "
         "insecure_tls: false, headers: {}", {"kind": "http", "url": "http://localhost"}),
        (f"{HTTP}, method: ' POST ', expect: 204, every: 2s, headers: {{A: 1}}, successes: 3",
         {"kind": "http", "url": "http://localhost", "method": "POST", "expect": ["204"],
          "every": 2.0, "headers": {"A": "1"}, "successes": 3}),
        (SYSTEMD, {"kind": "systemd", "unit": ["shop"]}),
        (f"{SYSTEMD}, action: restart, active_within: 30s, stable: 2, scope: system",
         {"kind": "systemd", "unit": ["shop"]}),
        (COMPOSE, {"kind": "docker-compose", "files": ["c.yaml"]}),
        (f"{COMPOSE}, pull: true, build: false, environment: {{A: true}}",
         {"kind": "docker-compose", "files": ["c.yaml"], "environment": {"A": "True"}}),
        (ANSIBLE, {"kind": "ansible", "playbook": "site.yaml", "runs_on": "qa-1"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("grouped", [False, True])
def test_a_step_is_stored_with_what_is_not_as_it_is_anyway(
    read: Read, said: str, stored: dict[str, Any], grouped: bool
) -> None:
    text = rolling("", f"name: S, {said}") if grouped else one(said)
    found = read(text).of("project")[0].document["process"][0]
    assert (found["steps"][0] if grouped else found) == {"name": "S", **stored}


def test_every_key_may_be_worked_out_later(read: Read) -> None:
    name = '"#{Octopus.Machine.Name}"'
    said = {
        "http": "url, method, body, contains, healthy_within, every, answer_within, successes, "
        "insecure_tls",
        "systemd": "unit, action, active_within, stable, scope, daemon_reload",
        "docker-compose": "files, project, services, env_file, pull, build, remove_orphans, "
        "healthy_within",
        "ansible": "playbook, inventory, tags, check, runs_on",
    }
    for kind, keys in said.items():
        told = ", ".join(f"{key}: {name}" for key in keys.split(", "))
        (step,) = read(one(f"kind: {kind}, {told}")).of("project")[0].document["process"]
        assert set(step) == {"name", "kind", *keys.split(", ")}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_of_any_step_may_be_said_of_these(read: Read, kind: str) -> None:
    more = (
        "roles: [web], environments: [QA], channels: [hotfix], condition: always, required: true, "
        "max_parallel: 3, retries: 2, backoff: 10s, timeout: 15m, touches: [iis], "
        "idempotent: true, on_unknown: rerun, on_stale: terminate"
    )
    read(one(f"{kind}, {more}"))


@pytest.mark.parametrize(
    ("said", "path", "message"),
    [
        ("kind: http", "", "'url' is missing, which an http step needs"),
        ("kind: systemd", "", "'unit' is missing, which a systemd step needs"),
        ("kind: docker-compose", "", "'files' is missing, which a docker-compose step needs"),
        ("kind: ansible, runs_on: qa-1", "", "'playbook' is missing, which an ansible step needs"),
        ("kind: ansible, playbook: p", "",
         "'runs_on' is missing: name the machine that Ansible is on, a local one"),
        ("kind: ansible, playbook: p, runs_on: qa-2", ".runs_on",
         "there is no machine 'qa-2'; did you mean 'qa-1'?"),
        ("kind: htp, url: 'http://x'", ".kind",
         "must be 'script', 'package', 'http', 'systemd', 'docker-compose', 'ansible', 'manual' "
         "or 'rolling'; did you mean 'http'?"),
        ("kind: http, url: localhost/health", ".url", "must begin with http:// or https://"),
        ("kind: http, url: 'localhost:#{Octopus.Machine.Name}'", ".url",
         "must begin with http:// or https://"),
        ("kind: http, url: 'http://u:secret@x'", ".url", "holds a password; say it by #{…}"),
        ("kind: http, url: 'http://x:99999'", ".url",
         "names no host, or a port that there is not"),
        (f"{HTTP}, method: PSOT", ".method",
         "must be GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS; did you mean 'POST'?"),
        (f"{HTTP}, successes: 100, healthy_within: 10s", ".successes",
         "so many answers, 1 s apart, do not come within 10 s"),
        (f"{HTTP}, healthy_within: 5m, timeout: 1m", ".healthy_within",
         "the step's timeout ends it before: let it be shorter, or the timeout longer"),
        (f"{HTTP}, method: HEAD, contains: x", ".contains", "a HEAD request has no contains"),
        (f"{HTTP}, method: HEAD, body: x", ".body", "a HEAD request has no body"),
        (f"{HTTP}, headers: x", ".headers",
         "must be a mapping, with a key and a value on each line"),
        (f"{HTTP}, headers: {{A B: x}}", ".headers.A B", "is no name of a header"),
        (f'{HTTP}, headers: {{A: "x\\ny"}}', ".headers.A", "must be one line"),
        (f"{HTTP}, headers: {{A: [x]}}", ".headers.A", "must be a text"),
        (f"{HTTP}, expect: [200, 2xx]", ".expect[1]",
         "must be a status code or a range of them: 204 or 200-399"),
        (f"{HTTP}, expect: []", ".expect", "must not be empty"),
        (f"{HTTP}, contains: //", ".contains", "has nothing between its slashes"),
        (f"{HTTP}, healthy_within: soon", ".healthy_within",
         "is no span of time: write 90s, 15m, 1h30m or a number of seconds"),
        (f"{HTTP}, every: 0", ".every", "must be more than 0, and at most a year"),
        (f"{HTTP}, every: true", ".every",
         "must be a span of time: 90s, 15m, 1h30m or a number of seconds"),
        (f"{HTTP}, successes: 0", ".successes", "must be a whole number from 1 on"),
        (f"{HTTP}, insecure_tls: maybe", ".insecure_tls",
         "must be true or false, or a text with #{…} that is"),
        (f"{HTTP}, helthy_within: 1m", ".helthy_within",
         "unknown key 'helthy_within'; did you mean 'healthy_within'?"),
        (f"{HTTP}, unit: x", ".unit", "an http step has no 'unit'"),
        (f"{HTTP}, script: ls", ".script", "an http step has no 'script'"),
        (f"{HTTP}, body: '#{{Octopus.Machine.Name | nofilter}}'", ".body", None),
        (f"{HTTP}, headers: {{A: '#{{Nobody}}'}}", ".headers.A",
         "there is no variable 'Nobody'; write ##{ where the text shall hold #{ itself"),
        ("kind: systemd, unit: []", ".unit", "must not be empty"),
        ("kind: systemd, unit: [shop, --now]", ".unit[1]", "is no name of a unit"),
        (f"{SYSTEMD}, action: reboot", ".action",
         "must be restart, reload, reload-or-restart, start, stop, enable, disable"),
        (f"{SYSTEMD}, action: stopp", ".action",
         "must be restart, reload, reload-or-restart, start, stop, enable, disable; "
         "did you mean 'stop'?"),
        (f"{SYSTEMD}, action: enable, stable: 1s", ".stable",
         "enable starts and stops nothing to wait for"),
        (f"{SYSTEMD}, scope: root", ".scope", "must be system, user"),
        (f"{COMPOSE}, project: Shop", ".project",
         "must have small letters, digits, - and _, a letter or digit first"),
        (f"{COMPOSE}, services: [--all]", ".services[0]", "is no name of a service"),
        (f"{COMPOSE}, environment: {{A-B: x}}", ".environment.A-B",
         "the name of a variable must have letters, digits and _, no digit first"),
        (f"{COMPOSE}, environment: QA", ".environment",
         "must be a mapping, with a key and a value on each line"),
        (f"{ANSIBLE}, extra_vars: [a]", ".extra_vars",
         "must be a mapping, with a key and a value on each line"),
        (f"{ANSIBLE}, extra_vars: {{7up: x}}", ".extra_vars.7up",
         "the name of a variable must have letters, digits and _, no digit first"),
        (f"{ANSIBLE}, extra_vars: {{a: [{{b: '#{{Nobody}}'}}]}}", ".extra_vars.a[0].b",
         "there is no variable 'Nobody'; write ##{ where the text shall hold #{ itself"),
        (f"{ANSIBLE}, tags: ['a,b']", ".tags[0]", "is no tag; list several one by one"),
        ("script: ls, environment: {A: QA}", ".environment",
         "a script step has no 'environment'; did you mean 'environments'?"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_place(
    faults: Faults, said: str, path: str, message: str | None
) -> None:
    (fault,) = faults(one(said))
    assert fault.path == f"{STEP}{path}"
    assert message is None or fault.message == message
    assert fault.line == 24


def test_a_slip_for_the_environments_of_a_step_is_understood(faults: Faults) -> None:
    assert {fault.message for fault in faults(one("script: ls, environment: QA"))} == {
        "must be a mapping, with a key and a value on each line",
        "a script step has no 'environment'; did you mean 'environments'?",
    }


def test_all_faults_of_several_steps_are_told_at_once(faults: Faults) -> None:
    steps = [
        "{name: A, kind: http, url: nowhere, method: PSOT, expect: x}",
        "{name: B, kind: systemd, unit: a b, action: jump}",
        "{name: C, kind: ansible, playbook: p, tags: a b, check: 7}",
    ]
    found = {fault.path for fault in faults(process(*steps))}
    keys = ["[0].url", "[0].method", "[0].expect", "[1].unit", "[1].action", "[2]", "[2].tags",
            "[2].check"]  # fmt: skip
    assert found == {f"projects[0].process{key}" for key in keys}


def test_no_value_is_shown_in_a_fault(faults: Faults) -> None:
    said = "kind: http, url: 's3cret', method: s3cret, expect: s3cret, healthy_within: s3cret"
    assert "s3cret" not in str([fault.message for fault in faults(one(said))])


@pytest.mark.parametrize("kind", KINDS)
def test_none_of_them_is_a_hook(faults: Faults, kind: str) -> None:
    found = faults(rolling(f"before: {{script: x, {kind}}}"))
    assert {fault.message.partition(";")[0] for fault in found} >= {"unknown key 'kind'"}


def test_a_playbook_needs_its_machine_within_a_group_too(faults: Faults) -> None:
    (fault,) = faults(rolling("", "name: S, kind: ansible, playbook: p"))
    assert fault.path == f"{STEP}.steps[0]"


def test_what_a_playbook_is_given_is_compared_as_it_is_whatever_its_keys_are_called(
    read: Read,
) -> None:
    def given(port: int) -> str:
        users = f"[{{name: a, value: {port}}}]"
        return one(f"{ANSIBLE}, extra_vars: {{users: {users}, name: x, value: {port}}}")

    before = {(i.kind, i.name): i.document for i in read(given(80)).items}
    told = [line.strip() for line in difference(before, read(given(81))).lines()]
    assert told[2:] == [
        'process[S].extra_vars.users: [{"name": "a", "value": 80}] → [{"name": "a", "value": 81}]',
        "process[S].extra_vars.value: 80 → 81",
    ]
    wrong = ANSIBLE + ", extra_vars: {users: [{name: a, scope: {odd: 1}}]}"
    assert difference(before, read(one(wrong))).changed

"""Catalog files for the tests: a small right one, and ways to read a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deployengine.catalog import Catalog, fields, load, schema
from deployengine.domain.errors import Fault, InvalidInput

#: A right catalog of 22 lines; tests replace parts of it by wrong ones.
SMALL = """\
environments: [QA, Production]
machines:
  - name: qa-1
    environments: [QA]
    roles: [web]
  - name: prod-[01:03]
    environments: [Production]
    roles: [web, db]
lifecycles:
  - name: auto
    phases:
      - {name: Test, automatic: [QA]}
      - {name: Live, automatic: [Production]}
variable_sets:
  - name: Shared
    variables: []
projects:
  - name: app-[1:2]
    lifecycle: auto
    channels: [{name: hotfix, lifecycle: auto}]
    include: [Shared]
    variables: []
    process:
      - name: Install
        roles: [web]
        script: echo hello
"""

#: An inventory with two hosts, and those two in groups of their own.
INVENTORY = Path(__file__).parent / "inventory" / "two.ini"

_HOOK = {
    "script": "ls", "touches": ["lb"], "timeout": "1m", "retries": 1, "backoff": "5s",
    "idempotent": True, "on_unknown": "rerun", "on_stale": "wait", "runs_on": "qa-1",
}  # fmt: skip
_PACKAGE = {
    "package": "shop", "feed": "releases", "substitute": ["*.conf"],
    "settings": ["a.json", "*.yaml"], "keep": 2, "into": "/opt/#{B}",
}  # fmt: skip
_HTTP = {
    "url": "http://#{B}/health", "method": "POST", "headers": {"X": "#{B}"}, "body": "b",
    "expect": [200, "300-302"], "contains": "/ok/", "healthy_within": "2m", "every": 2,
    "answer_within": "5s", "successes": 2, "insecure_tls": True,
}  # fmt: skip
_SYSTEMD = {
    "unit": ["shop", "shop-#{B}"], "action": "start", "active_within": 10, "stable": "1s",
    "scope": "user", "daemon_reload": True,
}  # fmt: skip
_COMPOSE = {
    "files": ["c.yaml"], "project": "shop", "services": ["web"], "env_file": [".env"],
    "environment": {"TAG": "#{B}"}, "pull": False, "build": True, "remove_orphans": True,
    "healthy_within": "#{B}",
}  # fmt: skip
_ANSIBLE = {
    "playbook": "site.yaml", "inventory": "hosts", "extra_vars": {"a": ["#{B}", 7]},
    "tags": ["web"], "check": "#{B}", "runs_on": "qa-1",
}  # fmt: skip
#: A right catalog that says all that can be said.
FULL: dict[str, Any] = {
    "environments": [{"name": "QA", "description": "d", "guided_failure": True, "share": 3}],
    "machines": [
        {"name": "qa-1", "environments": ["QA"], "roles": ["web"], "max_concurrent": 2,
         "connection": {"kind": "local", "workdir": "m/#{machine}"}},
        {"name": "far-1", "environments": ["QA"], "connection": {
            "kind": "ssh", "host": "#{machine}.example", "port": 2222, "user": "deploy",
            "host_key": "SHA256:" + "a" * 43, "identity_file": "~/.ssh/#{machine}",
            "passphrase": {"set": "Shared", "variable": "A"}, "known_hosts": "known",
            "config": "ssh_config", "jump": "bastion", "become": "root", "patience": "1m",
            "keepalive": "5s",
            "tickets": "t/#{machine}", "workdir": "w"}},
        {"name": "far-2", "environments": ["QA"], "connection": {
            "kind": "ssh", "identity": {"set": "Shared", "variable": "A"},
            "password": {"set": "Shared", "variable": "A"}}},
    ],
    "inventories": [
        {"file": str(INVENTORY), "format": "ansible", "environments": {"web": ["QA"]},
         "roles": {"web": ["web"]}, "only": ["web"], "exclude": ["db-*"],
         "connection": {"kind": "ssh", "user": "deploy"}},
        {"file": str(INVENTORY), "environment": "QA", "roles": ["db"], "only": ["db"]},
    ],
    "lifecycles": [
        {"name": "auto", "default": True, "phases": [
            {"name": "Test", "automatic": ["QA"], "manual": [], "minimum": 1, "optional": True,
             "priority": 2, "keep_releases": 4}]},
    ],
    "variable_sets": [
        {"name": "Shared", "variables": [
            {"name": "A", "value": "x", "sensitive": True,
             "scope": {"environments": ["QA"], "machines": ["qa-1"], "roles": ["web"],
                       "channels": ["fix"], "steps": ["Install"], "phases": ["Test"]},
             "prompt": {"label": "l", "description": "d", "required": True}}]},
    ],
    "feeds": [
        {"name": "releases", "url": "https://example.com/feed", "pattern": "{name}.{version}.zip",
         "username": "deploy", "password": {"set": "Shared", "variable": "A"}},
    ],
    "projects": [
        {"name": "app", "lifecycle": "auto", "channels": [{"name": "fix", "lifecycle": "auto"}],
         "include": ["Shared"], "variables": [{"name": "B", "value": "y"}],
         "mutex": "deployment", "supersede": True, "guided_failure": True, "share": 2,
         "priority": -1, "unavailable_machines": "skip",
         "process": [
             {"name": "First", "script": "ls"},
             {"name": "Install", "kind": "script", "roles": ["web"], "environments": ["QA"],
              "channels": ["fix"], "condition": "always",
              "start": "with_previous", "required": True, "max_parallel": 3, "retries": 2,
              "backoff": "10s", "timeout": "15m", "script": "ls", "idempotent": True,
              "runs_on": "qa-1",
              "on_unknown": "rerun", "on_stale": "terminate",
              "touches": [{"resource": "iis", "mode": "shared", "everywhere": True}]},
             {"name": "Approve", "kind": "manual", "instructions": "Look", "keep_tag": True,
              "responsible": ["alice"], "exclude_environments": ["QA"]},
             {"name": "Roll", "kind": "rolling", "max_parallel": 2, "on_failure": "exclude",
              "ramp": [1, "10%"], "max_failures": "20%", "before": _HOOK,
              "after": {**_HOOK, "always": True},
              "steps": [
                  {"name": "Swap", "kind": "script", "script": "ls", "condition": "#{B}",
                   "timeout": 60, "retries": 1, "backoff": 5, "idempotent": True,
                   "on_unknown": "ask", "on_stale": "terminate", "runs_on": "#{B}",
                   "touches": [{"resource": "iis"}]},
                  {"name": "Web", "kind": "package", **_PACKAGE, "condition": "#{B}",
                   "timeout": 60, "retries": 1, "backoff": 5, "idempotent": True,
                   "on_unknown": "ask", "on_stale": "terminate",
                   "touches": [{"resource": "iis"}]},
                  {"name": "Look at it", "kind": "http", **_HTTP},
                  {"name": "Start it", "kind": "systemd", **_SYSTEMD},
                  {"name": "Bring it up", "kind": "docker-compose", **_COMPOSE},
                  {"name": "Set it up", "kind": "ansible", **_ANSIBLE}]},
             {"name": "Api", "kind": "package", **_PACKAGE},
             {"name": "Look", "kind": "http", **_HTTP},
             {"name": "Renew", "kind": "systemd", **_SYSTEMD},
             {"name": "Up", "kind": "docker-compose", **_COMPOSE},
             {"name": "Configure", "kind": "ansible", **_ANSIBLE},
         ]},
    ],
    "freezes": [
        {"name": "end", "environments": ["QA"], "projects": ["app"], "from": "2026-12-20T00:00",
         "to": "2027-01-03T00:00", "time_zone": "Europe/Vienna"},
        {"name": "weekends", "cron": "0 18 * * FRI", "lasts": "62h"},
    ],
    "schedules": [
        {"name": "nightly", "project": "app", "environment": "QA", "release": "1.0",
         "cron": "0 2 * * *", "time_zone": "Europe/Vienna"},
    ],
}  # fmt: skip


Read = Callable[[str], Catalog]
Faults = Callable[[str], list[Fault]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a text as the file ``catalog.yaml``."""

    def read(text: str) -> Catalog:
        file = tmp_path / "catalog.yaml"
        file.write_text(text, encoding="utf-8")
        return load([file])

    return read


@pytest.fixture
def faults(read: Read) -> Faults:
    """What is wrong with a text; its file is called by its bare name."""

    def faults(text: str) -> list[Fault]:
        with pytest.raises(InvalidInput) as caught:
            read(text)
        return [
            Fault(f.message, Path(f.file or "").name, f.line, f.path) for f in caught.value.faults
        ]

    return faults


def small(old: str = "", new: str = "", *more: str) -> str:
    """The small catalog with a part of it replaced by another, and so on in pairs."""
    text = SMALL
    pairs = [old, new, *more]
    for before, after in zip(pairs[::2], pairs[1::2], strict=True):
        assert before in text, before
        text = text.replace(before, after, 1)
    return text


def unsaid(catalog: Mapping[str, Any]) -> dict[str, set[str]]:
    """The keys of each part of the schema that stand nowhere in a file."""
    missing: dict[str, set[str]] = {}
    for section, model in schema.PARTS.items():
        for part, of in _parts(catalog[section], model):
            missing[of.__name__] = missing.get(of.__name__, set(fields.written(of))) - part.keys()
    return {name: keys for name, keys in missing.items() if keys}


def _parts(raw: Any, model: fields.Model) -> Iterator[tuple[dict[str, Any], fields.Model]]:
    """Every mapping in a part of a file, and what the schema has for it."""
    for part in raw if isinstance(raw, list) else [raw]:
        if isinstance(part, dict):
            yield part, model
            for key, info in fields.written(model).items():
                if (held := fields.inner(info)) and key in part:
                    yield from _parts(part[key], held)

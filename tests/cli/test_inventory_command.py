"""``inventory show``: a catalog on stdout, talk on stderr, and no database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from deployengine.cli.main import main

HOSTS = """\
[web]
web-[1:2] ansible_host=10.0.0.1
[web:vars]
ansible_password='{{ vault }}'
"""


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither database nor Redis can be had: none is needed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEPLOYENGINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEPLOYENGINE_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    Path("hosts.ini").write_text(HOSTS)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_it_prints_a_catalog_and_tells_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inventory", "show", "hosts.ini", "--environment", "web=QA") == 0
    out, err = capsys.readouterr()
    assert out == (
        "# The machines of hosts.ini.\n"
        "\n"
        "machines:\n"
        "  - name: web-1\n"
        "    environments: [QA]\n"
        '    connection: {kind: ssh, host: "10.0.0.1"}\n'
        "  - name: web-2\n"
        "    environments: [QA]\n"
        '    connection: {kind: ssh, host: "10.0.0.1"}\n'
    )
    assert err.startswith("warning: hosts.ini:4: web: ansible_password: it is not known here")
    assert not Path("home").exists()


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inventory", "show", "hosts.ini", "--environment", "QA", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["machines"][1] == {
        "name": "web-2",
        "environments": ["QA"],
        "roles": ["web"],
        "connection": {"kind": "ssh", "host": "10.0.0.1"},
    }
    assert len(document["warnings"]) == 1


def test_of_a_catalog_everything_is_said_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("catalog.yaml").write_text(
        "inventories: [{file: hosts.ini, environment: QA, only: [web-2], connection: {port: 22}}]\n"
    )
    assert run("inventory", "show", "catalog.yaml") == 0
    (machine,) = yaml.safe_load(capsys.readouterr().out)["machines"]
    assert machine["name"] == "web-2"
    assert machine["connection"]["port"] == 22
    assert run("inventory", "show", "catalog.yaml", "--environment", "QA") == 2
    assert "leave --format and --environment out" in capsys.readouterr().err


def test_what_is_wrong_ends_with_2_and_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inventory", "show", "hosts.ini") == 2
    assert run("inventory", "show", "hosts.ini", "--environment", "db=QA") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "hosts.ini: a machine must belong to an environment; say --environment NAME, or "
        "--environment GROUP=NAME; its groups: web",
        "there is no group or host 'db'",
    ]

"""``ansible`` steps: real playbooks, in every shell, on this host and over a real sshd."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from deployengine.domain.filling import BadValue, SecretOnCommandLine
from deployengine.domain.tools import Playbook
from deployengine.recipes.recipe import recipe
from tests.recipes.conftest import Place, made, secrets, values
from tests.support.sshd import private_sshd

PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")

#: Writes what it was given beside the playbook, a file for each host.
NOTES = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Note what came
      copy:
        content: "{{ given | default('nothing') | to_json }}"
        dest: "{{ playbook_dir }}/{{ inventory_hostname }}.json"
      tags: [note]
    - name: Fail
      fail:
      when: broken | default(false)
      tags: [fail]
"""
HOSTS = "[all]\nweb-1 ansible_connection=local\nweb-2 ansible_connection=local\n"


def control(place: Place) -> Place:
    """A machine with Ansible, a playbook and an inventory of two hosts, both of them this one."""
    place.program("ansible-playbook", f'#!/bin/sh\nexec {PLAYBOOK} "$@"\n')
    for name in ("uname", "stty", "mkdir", "chmod", "echo", "sh", "ls", "tr"):
        if not (place.bin / name).exists() and (found := shutil.which(name)):
            (place.bin / name).symlink_to(found)
    (place.workdir / "site.yaml").write_text(NOTES)
    interpreter = f"[all:vars]\nansible_python_interpreter={sys.executable}\n"
    (place.workdir / "hosts").write_text(HOSTS + interpreter)
    return place


@pytest.fixture
def ansible(place: Place) -> Place:
    return control(place)


@pytest.fixture
def dash_ansible(dash: Place) -> Place:
    return control(dash)


def step(**more: Any) -> Playbook:
    return Playbook(**{"playbook": "site.yaml", "inventory": "hosts", **more})


def noted(place: Place) -> dict[str, Any]:
    """What each host was given."""
    return {path.stem: json.loads(path.read_text()) for path in place.workdir.glob("*.json")}


def test_a_playbook_runs_for_the_machine_alone(ansible: Place) -> None:
    done = ansible.carry_out(step())
    assert done.returncode == 0, done.stdout + done.stderr
    assert noted(ansible) == {"web-1": "nothing"}
    assert done.stdout.splitlines()[0] == (
        "ansible-playbook --limit=web-1 --inventory=hosts site.yaml"
    )
    assert "web-1 " in done.stdout.partition("PLAY RECAP")[2]


def test_variables_come_as_they_are_whatever_they_hold(ansible: Place) -> None:
    odd = 'it\'s "odd" {{ playbook_dir }} {% if %} $HOME `x` \\ \t\x7f\x01: # - [\nend\n'
    odd += "\u2028ü\U0001f600"
    given = {
        "text": "plain", "number": 7, "share": 0.5, "yes": True, "none": None,
        "list": ["a", "#{Odd}"], "inner": {"odd": "#{Odd}"}, "own": "{{ inventory_hostname }}",
    }  # fmt: skip
    done = dict_of(ansible, given, values(Odd=odd))
    assert done == {
        "text": "plain", "number": 7, "share": 0.5, "yes": True, "none": None,
        "list": ["a", odd], "inner": {"odd": odd}, "own": "web-1",
    }  # fmt: skip


def dict_of(place: Place, given: Any, found: Any) -> Any:
    done = place.carry_out(step(extra_vars={"given": given}), found)
    assert done.returncode == 0, done.stdout + done.stderr
    return noted(place)["web-1"]


def test_secrets_come_by_a_file_that_nobody_else_reads_and_that_goes(
    dash_ansible: Place,
) -> None:
    looks = f"""#!/bin/sh
        for each; do printf '%s\\n' "$each" >> "$HOME/words"; done
        ls -l "$DEPLOYENGINE_TICKET_FOLDER/extra_vars.yaml" > "$HOME/listed"
        exec {PLAYBOOK} "$@"
    """
    dash_ansible.program("ansible-playbook", looks)
    said = step(extra_vars={"given": "#{Token}"})
    script = made(said, secrets(Token="s3cret"))
    assert (script.sensitive, script.secrets) == (True, {"s3cret"})
    done = dash_ansible.run(script.text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert noted(dash_ansible) == {"web-1": "s3cret"}
    assert "s3cret" not in (dash_ansible.folder / "words").read_text()
    assert (dash_ansible.folder / "listed").read_text().startswith("-rw------- ")
    assert not (dash_ansible.ticket / "extra_vars.yaml").exists()


def test_tags_choose_what_runs(dash_ansible: Place) -> None:
    said = step(tags=["#{Tag}", "#{None_}", "x"], extra_vars={"broken": True})
    done = dash_ansible.carry_out(said, values(Tag="note", None_=""))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--tags=note,x" in done.stdout
    assert noted(dash_ansible) == {"web-1": "nothing"}


def test_a_check_changes_nothing(dash_ansible: Place) -> None:
    done = dash_ansible.carry_out(step(check="#{Dry}"), values(Dry="True"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert noted(dash_ansible) == {}


def test_a_playbook_that_fails_fails_the_step(dash_ansible: Place) -> None:
    done = dash_ansible.carry_out(step(extra_vars={"broken": True}))
    assert done.returncode == 2
    assert "failed=1" in done.stdout


def test_a_machine_that_the_inventory_lacks_is_told(dash_ansible: Place) -> None:
    done = dash_ansible.carry_out(step(), machine="web-9")
    assert done.returncode == 1
    assert "web-9" in done.stdout + done.stderr


def test_without_ansible_it_is_told_where_it_is_needed(place: Place) -> None:
    done = place.carry_out(step())
    assert (done.returncode, done.stderr) == (
        1,
        "an ansible step needs ansible-playbook on the machine that runs_on names, and it is not "
        "there\n",
    )


def test_a_machine_that_is_reached_by_ssh_is_configured(
    dash_ansible: Place,
) -> None:
    options = "-o ControlMaster=no -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    with private_sshd() as server:
        lines = {
            "ansible_host": "127.0.0.1",
            "ansible_port": server.port,
            "ansible_user": server.user,
            "ansible_ssh_private_key_file": server.identity_file,
            "ansible_python_interpreter": sys.executable,
            "ansible_ssh_args": f"'{options}'",
        }
        said = " ".join(f"{key}={value}" for key, value in lines.items())
        (dash_ansible.workdir / "hosts").write_text(f"[all]\nweb-1 {said}\n")
        for name in ("ssh", "sftp", "scp"):
            (dash_ansible.bin / name).symlink_to(str(shutil.which(name)))
        done = dash_ansible.carry_out(step(extra_vars={"given": "#{T}"}), secrets(T="s3cret"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert noted(dash_ansible) == {"web-1": "s3cret"}


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("playbook", "", "playbook must be the path of a file"),
        ("playbook", "--version", "playbook must be the path of a file"),
        ("inventory", "-x", "inventory must be the path of a file"),
        ("tags", "a,b", "tags is no tag"),
    ],
)
def test_values_that_cannot_be_used_are_told_before_anything_runs(
    key: str, value: str, why: str
) -> None:
    with pytest.raises(BadValue) as caught:
        made(step(**{key: ["#{V}"] if key == "tags" else "#{V}"}), values(V=value))
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("name", ["web*", "a:b", "!a", "a,b", "~a", "web[1]", "a b", "-l"])
def test_a_machine_whose_name_means_more_than_one_host_is_refused(name: str) -> None:
    with pytest.raises(BadValue) as caught:
        recipe(step(), name, {})
    assert str(caught.value).startswith(f"the name {name!r} means more than one host to Ansible")


@pytest.mark.parametrize("key", ["playbook", "inventory", "tags"])
def test_a_secret_comes_to_no_command_line(key: str) -> None:
    with pytest.raises(SecretOnCommandLine):
        made(step(**{key: ["#{V}"] if key == "tags" else "#{V}"}), secrets(V="shop"))

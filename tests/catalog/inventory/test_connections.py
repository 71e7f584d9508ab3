"""What an inventory says of how a host is reached, in the words of a catalog."""

from __future__ import annotations

from typing import Any

import pytest

from tests.catalog.inventory.conftest import Beside

PASSWORD = "correct-horse-battery"
SHARED = [
    {
        "name": "Shared",
        "variables": [{"name": "Password", "value": "x", "sensitive": True}],
    }
]
REFERENCE = {"set": "Shared", "variable": "Password"}


@pytest.mark.parametrize(
    ("said", "connection"),
    [
        ("", {}),
        ("ansible_connection=ssh", {}),
        ("ansible_connection=smart", {}),
        ("ansible_connection=ansible.builtin.ssh", {}),
        ("ansible_host=10.0.0.1", {"host": "10.0.0.1"}),
        ("ansible_host=a", {}),
        ("ansible_host='{{ inventory_hostname }}.example.com'", {"host": "a.example.com"}),
        ("ansible_ssh_host=10.0.0.1 ansible_ssh_port=1 ansible_ssh_user=u",
         {"host": "10.0.0.1", "port": 1, "user": "u"}),
        ("ansible_host=10.0.0.1 ansible_ssh_host=10.0.0.2", {"host": "10.0.0.2"}),
        ("ansible_user= ansible_port=", {}),
        ("ansible_ssh_private_key_file=~/.ssh/a", {"identity_file": "~/.ssh/a"}),
        ("ansible_private_key_file=~/.ssh/a", {"identity_file": "~/.ssh/a"}),
        ("ansible_become=yes", {"become": "root"}),
        ("ansible_become=True ansible_become_user=app", {"become": "app"}),
        ("ansible_become=no ansible_become_user=app", {}),
        ("ansible_become_user=app", {}),
        ("ansible_become=yes ansible_become_method=ansible.builtin.sudo", {"become": "root"}),
        ("ansible_become=yes ansible_become_exe=/usr/bin/sudo", {"become": "root"}),
        ("ansible_become=no ansible_become_method=su", {}),
        ("ansible_shell_type=sh ansible_python_interpreter='{{ x }}' ansible_timeout=5", {}),
    ],
)  # fmt: skip
def test_variables(beside: Beside, said: str, connection: dict[str, Any]) -> None:
    assert beside.connections(f"a {said}\n") == {"a": {"kind": "ssh", **connection}}


@pytest.mark.parametrize(
    ("words", "connection"),
    [
        ("-J bastion", {"jump": "bastion"}),
        ("-o ProxyJump=ops@one:2222,two", {"jump": "ops@one:2222,two"}),
        ("-oProxyJump=ssh://ops@one:2222", {"jump": "ops@one:2222"}),
        ("-o ProxyJump=none -o ProxyCommand=none", {}),
        ('-o ProxyCommand="ssh -W %h:%p -q ops@bastion"', {"jump": "ops@bastion"}),
        ('-o ProxyCommand="ssh -q -p 2222 -l ops bastion -W [%h]:%p"',
         {"jump": "ops@bastion:2222"}),
        ('-o ProxyCommand="/usr/bin/ssh -o StrictHostKeyChecking=no -o Port=22 bastion nc %h %p"',
         {"jump": "bastion:22"}),
        ('-i ~/.ssh/a -o ProxyCommand="ssh -i ~/.ssh/a -W %h:%p bastion"',
         {"jump": "bastion", "identity_file": "~/.ssh/a"}),
        ("-F ssh.cfg -i ~/.ssh/a -l ops -p 2222",
         {"config": "ssh.cfg", "identity_file": "~/.ssh/a", "user": "ops", "port": 2222}),
        ("-o User=ops -o Port=2222 -o HostName=10.0.0.1 -o IdentityFile=~/.ssh/a",
         {"user": "ops", "port": 2222, "host": "10.0.0.1", "identity_file": "~/.ssh/a"}),
        ("-o 'User ops'", {"user": "ops"}),
        ("-o UserKnownHostsFile=/etc/known", {"known_hosts": "/etc/known"}),
        ("-o UserKnownHostsFile=/dev/null", {}),
        ("-4 -A -C -tt -vvv -o ControlMaster=auto -o ControlPersist=60s -o ForwardAgent=yes", {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["ansible_ssh_common_args", "ansible_ssh_extra_args"])
def test_words_for_the_command_line_of_ssh(
    beside: Beside, name: str, words: str, connection: dict[str, Any]
) -> None:
    text = f"[all]\na\n[all:vars]\n{name}={words}\n"
    assert beside.connections(text) == {"a": {"kind": "ssh", **connection}}


def test_variables_win_over_words_but_for_those_that_stand_in_front(beside: Beside) -> None:
    text = "a ansible_user=of-variable ansible_ssh_common_args='-l of-words -p 1'\n"
    assert beside.connections(text)["a"] == {"kind": "ssh", "user": "of-variable", "port": 1}
    text = "a ansible_user=of-variable ansible_ssh_args='-l of-words'\n"
    assert beside.connections(text)["a"] == {"kind": "ssh", "user": "of-words"}


def test_what_the_catalog_says_for_all_stands_back_behind_what_a_host_says(beside: Beside) -> None:
    text = """\
        a
        b ansible_user=b ansible_port=22 ansible_host=10.0.0.1 ansible_become_user=x
        c ansible_become=no ansible_ssh_common_args='-o ProxyJump=none' ansible_host=c
        d ansible_connection=local
        """
    found = beside.connections(
        text,
        connection={
            "host": "#{machine}.example.com",
            "port": 2222,
            "user": "deploy",
            "become": "root",
            "jump": "bastion",
            "patience": "1m",
            "workdir": "/srv/#{machine}",
        },
    )
    common = {"kind": "ssh", "jump": "bastion", "become": "root", "patience_seconds": 60.0}
    assert found == {
        "a": {**common, "host": "a.example.com", "port": 2222, "user": "deploy",
              "workdir": "/srv/a"},
        "b": {**common, "host": "10.0.0.1", "port": 22, "user": "b", "workdir": "/srv/b"},
        "c": {"kind": "ssh", "port": 2222, "user": "deploy", "patience_seconds": 60.0,
              "workdir": "/srv/c"},
        "d": {"kind": "local", "workdir": "/srv/d"},
    }  # fmt: skip


def test_all_hosts_may_be_folders_of_this_host(beside: Beside) -> None:
    found = beside.connections("a ansible_host=10.0.0.1\n", connection={"kind": "local"})
    assert found == {"a": {"kind": "local", "workdir": "machines/a"}}
    text = "a ansible_connection=ssh ansible_host=10.0.0.1\n"
    assert beside.connections(text, connection={"kind": "local"})["a"]["host"] == "10.0.0.1"


def test_the_key_of_a_host_wins_over_the_one_that_is_a_secret(beside: Beside) -> None:
    beside.write("hosts.ini", "a ansible_private_key_file=~/.ssh/a\nb\n")
    section = {"file": "hosts.ini", "environment": "QA", "connection": {"identity": REFERENCE}}
    catalog = beside.load(section, variable_sets=SHARED)
    a, b = (item.document["connection"] for item in catalog.of("machine"))
    assert "identity" not in a
    assert a["identity_file"] == "~/.ssh/a"
    assert b["identity"] == REFERENCE


SECRETS = [
    ("ansible_password", "password"),
    ("ansible_ssh_pass", "password"),
    ("ansible_ssh_password", "password"),
    ("ansible_ssh_private_key", "identity"),
    ("ansible_private_key_passphrase", "passphrase"),
]


@pytest.mark.parametrize(("name", "key"), SECRETS)
def test_a_secret_in_clear_is_refused_and_never_shown(beside: Beside, name: str, key: str) -> None:
    (fault,) = beside.faults(f"a {name}={PASSWORD}\n")
    assert fault == (
        f"hosts.ini:1: a: {name}: a secret in clear is refused; make it a sensitive variable of a "
        f"variable set, and name that under `connection` as {key}: {{set: …, variable: …}}"
    )


@pytest.mark.parametrize("name", ["ansible_become_password", "ansible_become_pass"])
def test_a_password_for_sudo_is_refused_and_never_shown(beside: Beside, name: str) -> None:
    (fault,) = beside.faults(f"a {name}={PASSWORD}\n")
    assert "NOPASSWD in sudoers" in fault
    assert PASSWORD not in fault


@pytest.mark.parametrize("secret", ["!vault 6162", '"{{ vault_password }}"'])
def test_a_secret_that_only_ansible_knows_is_told_unless_the_catalog_names_one(
    beside: Beside, secret: str
) -> None:
    text = f"all:\n  hosts: {{a: , b: }}\n  vars:\n    ansible_password: {secret}\n"
    assert beside.warnings(text, "hosts.yaml") == [
        "hosts.yaml:4: all: ansible_password: it is not known here, and left out; make it a "
        "sensitive variable of a variable set, and name that under `connection` as password: "
        "{set: …, variable: …} (a, b)"
    ]
    section = {"file": "hosts.yaml", "environment": "QA", "connection": {"password": REFERENCE}}
    assert beside.load(section, variable_sets=SHARED).warnings == ()


def test_what_only_ansible_knows_is_no_fault_where_the_catalog_says_it(beside: Beside) -> None:
    text = "a ansible_user='{{ x }}' ansible_ssh_common_args='{{ y }}'\n"
    said = {"user": "deploy", "jump": "bastion"}
    assert beside.connections(text, connection=said) == {"a": {"kind": "ssh", **said}}


@pytest.mark.parametrize(
    "said",
    [
        "ansible_ssh_common_args='-o StrictHostKeyChecking=no'",
        "ansible_host_key_checking=false",
        "ansible_ssh_host_key_checking=no",
    ],
)
def test_that_host_keys_are_checked_all_the_same_is_told(beside: Beside, said: str) -> None:
    (warning,) = beside.warnings(f"[web]\na\nb\n[web:vars]\n{said}\n")
    assert warning.startswith("hosts.ini:5: web: ansible_")
    assert "host keys are checked all the same" in warning
    assert warning.endswith("(a, b)")

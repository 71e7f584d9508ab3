"""What is wrong with an inventory: the file, the line, the host, and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.catalog.inventory.conftest import Beside


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a\n[web\n", "hosts.ini:2: '[web' is no range"),
        ("[web server]\n", "hosts.ini:1: this begins no section: write [group]"),
        ("[web:childs]\n", "hosts.ini:1: there is no kind of section 'childs'; did you mean 'chil"),
        ("a 10.0.0.1\n", "hosts.ini:1: behind a host there is room for name=value only"),
        ("a x='\n", "hosts.ini:1: the quotes do not match"),
        ("web[1:]\n", "hosts.ini:1: 'web[1:]' is no range"),
        ("web[3:1]\n", "hosts.ini:1: range [3:1] is empty"),
        ("web[1:99999]\n", "hosts.ini:1: 'web[1:99999]' stands for more than 10000 names"),
        ("web:\n", "hosts.ini:1: 'web:' must not end with a colon"),
        ("[web]\na\n[p:children]\nwbe\n",
         "hosts.ini:4: there is no group 'wbe'; did you mean 'web'?"),
        ("[web]\na\n[wbe:vars]\nx=1\n",
         "hosts.ini:3: there is no group 'wbe'; did you mean 'web'?"),
        ("[p:children]\na b\n", "hosts.ini:2: here a group is named, and nothing else"),
        ("[web]\na\n[web:vars]\nx\n", "hosts.ini:4: here variables are said as name=value"),
        ("[a:children]\nb\n[b:children]\na\n",
         "hosts.ini:2: a group cannot contain itself, be it by way of others (a, b)"),
        ("[a:children]\na\n", "hosts.ini:2: a group cannot contain itself"),
        ("[a:children]\nall\n", "hosts.ini:2: a group cannot contain itself"),
        ("a\n[w]\nb ansible_port=70000\n", "hosts.ini:3: b: ansible_port: must be at most 65535"),
        ("a ansible_port=ssh\n", "hosts.ini:1: a: ansible_port: must be a whole number"),
        ("a:0\n", "hosts.ini:1: a: ansible_port: must be at least 1"),
        ("a ansible_port=[22]\n", "hosts.ini:1: a: ansible_port: must be a text"),
        ("a/b\n", "hosts.ini:1: a/b: the name 'a/b' must not contain a slash"),
        ("a ansible_become=perhaps\n", "hosts.ini:1: a: ansible_become: must be true or false"),
        ("a ansible_become=yes ansible_become_method=su\n",
         "hosts.ini:1: a: ansible_become_method: 'su' is not supported: sudo is known; leave the"),
        ("a ansible_become=yes ansible_become_exe=/usr/bin/doas\n",
         "hosts.ini:1: a: ansible_become_exe: this is not supported: sudo is known"),
        ("a ansible_become=yes ansible_become_user='a b'\n",
         "hosts.ini:1: a: ansible_become: only letters, digits and"),
        ("a ansible_connection=local ansible_become=yes\n",
         "hosts.ini:1: a: ansible_become: scripts on this host run as the engine's own user"),
        ("a\nb ansible_connection=winrm ansible_password=x\n",
         "hosts.ini:2: b: ansible_connection: 'winrm' is not supported: ssh and local are known; "
         "leave the host out with `exclude`"),
        ("a ansible_connection=community.docker.docker\n",
         "hosts.ini:1: a: ansible_connection: 'community.docker.docker' is not supported"),
        ("a ansible_shell_type=powershell\n",
         "hosts.ini:1: a: ansible_shell_type: 'powershell' is not supported: machines with"),
        ("a ansible_host='{{ ip }}'\n",
         "hosts.ini:1: a: ansible_host: it is a Jinja template, which only a play of Ansible works "
         "out (ansible-inventory --list does not); write what it comes to, or say host under"),
        ("a ansible_become='{% if x %}yes{% endif %}'\n",
         "hosts.ini:1: a: ansible_become: it is a Jinja template"),
        ("a ansible_ssh_common_args='-z'\n",
         "hosts.ini:1: a: ansible_ssh_common_args: these are no options of ssh"),
        ("a ansible_ssh_common_args='bastion'\n",
         "hosts.ini:1: a: ansible_ssh_common_args: only options of ssh may stand here"),
        ("a ansible_ssh_common_args='-o CertificateFile=x'\n",
         "hosts.ini:1: a: ansible_ssh_common_args: there is no key for certificatefile"),
        ("a ansible_ssh_common_args='-o ProxyCommand=\"nc -x proxy %h %p\"'\n",
         "hosts.ini:1: a: ansible_ssh_common_args: a ProxyCommand may only be `ssh -W %h:%p"),
        ("a ansible_ssh_common_args='-o ProxyCommand=\"ssh -i other -W %h:%p bastion\"'\n",
         "hosts.ini:1: a: ansible_ssh_common_args: hosts on the way are entered with the key of"),
        ("a ansible_host='#{name}'\n", "hosts.ini:1: a: ansible_host: there is no placeholder"),
        ("", "catalog.yaml:11: inventories[0].file: no host is left of the inventory"),
    ],
)  # fmt: skip
def test_in_ini(beside: Beside, text: str, fault: str) -> None:
    (found,) = beside.faults(text)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [\n", "hosts.yaml:2: wrong YAML: "),
        ("- a\n", "hosts.yaml:1: an inventory must be a mapping"),
        ("web: [a, b]\n", "hosts.yaml:1: a group must be a mapping"),
        ("web:\n  hosts: [a, b]\n", "hosts.yaml:2: hosts must be a mapping: write each name with"),
        ("web:\n  hosts:\n    a: 10.0.0.1\n", "hosts.yaml:3: what is said of it must be a mapping"),
        ("web:\n  hosts:\n    a[1:]:\n", "hosts.yaml:3: 'a[1:]' is no range"),
        ("web: &w\n  children:\n    db: *w\n", "hosts.yaml:1: an alias stands inside"),
        ("plugin: aws_ec2\nregions: [x]\n", "hosts.yaml:1: it is a program, or settings of one"),
        ("web:\n  hosts:\n    a:\n      ansible_host: !vault x\n",
         "hosts.yaml:4: a: ansible_host: it is encrypted by ansible-vault"),
        ("web:\n  hosts:\n    a:\n      ansible_host: {x: y}\n",
         "hosts.yaml:4: a: ansible_host: must be a text"),
    ],
)  # fmt: skip
def test_in_yaml(beside: Beside, text: str, fault: str) -> None:
    assert beside.faults(text, "hosts.yaml")[0].startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "list.json:2: wrong YAML: "),
        ("[]", "list.json:1: an inventory must be a mapping of groups"),
        ('{"web": 1}', "list.json:1: a group must be a mapping with hosts, children and vars"),
        ('{"web":\n {"hosts": [[1]]}}', "list.json:2: this must be a list of names"),
        ('{"_meta": {"hostvars": {\n"a": {\n"ansible_port": "x"}}}}',
         "list.json:3: a: ansible_port: must be a whole number"),
        ('{"_meta": {"hostvars": {\n"a": {"ansible_host": {"__ansible_vault": "x"}}}}}',
         "list.json:2: a: ansible_host: it is encrypted by ansible-vault"),
    ],
)  # fmt: skip
def test_in_a_list(beside: Beside, text: str, fault: str) -> None:
    assert beside.faults(text, "list.json")[0].startswith(fault)


def test_a_fault_of_a_group_is_told_once_with_the_hosts_that_it_concerns(beside: Beside) -> None:
    text = "[win]\nw[01:12]\nx\n[win:vars]\nansible_connection=winrm\nansible_password=x\n"
    assert beside.faults(text) == [
        "hosts.ini:5: win: ansible_connection: 'winrm' is not supported: ssh and local are known; "
        "leave the host out with `exclude` (w01 … w12 (12), x)"
    ]


def test_a_host_that_is_left_out_has_no_faults(beside: Beside) -> None:
    text = "a\n[win]\nw ansible_connection=winrm\n"
    assert list(beside.machines(text, exclude=["win"])) == ["a"]


def test_nothing_is_read_where_it_is_not_known_which_hosts_are_meant(beside: Beside) -> None:
    text = "a\n[win]\nw ansible_connection=winrm\n"
    assert beside.faults(text, exclude="win") == [
        "catalog.yaml:12: inventories[0].exclude: must be a list"
    ]
    (fault,) = beside.faults(text, exclude=["win", "a["])
    assert fault.startswith("catalog.yaml:14: inventories[0].exclude[1]: 'a[' is no range")


def test_what_is_wrong_with_an_entry_otherwise_hides_nothing(beside: Beside) -> None:
    said = {"connection": {"port": "many", "usr": "x"}, "roles": {"web": "a/b"}}
    assert [each.partition(": ")[0] for each in beside.faults("[web]\na:0\nb\n", **said)] == [
        "catalog.yaml:13",
        "catalog.yaml:14",
        "catalog.yaml:16",
        "hosts.ini:2",
    ]


def test_all_faults_of_all_files_are_told_at_once(beside: Beside) -> None:
    beside.write("group_vars/web.yml", "ansible_user: '{{ x }}'\n")
    text = "[web]\na ansible_port=0\nb ansible_shell_type=cmd\n"
    found = beside.faults(text, connection={"become": "a b"})
    assert [fault.partition(": ")[0] for fault in found] == [
        "catalog.yaml:13",
        "group_vars/web.yml:1",
        "hosts.ini:2",
        "hosts.ini:3",
    ]


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"environment": None}, "catalog.yaml:11: inventories[0]: say either `environment: NAME`"),
        ({"environments": {"web": "QA"}, "environment": "QA"},
         "catalog.yaml:12: inventories[0].environments: say either"),
        ({"environment": "Qa"}, "catalog.yaml:12: inventories[0].environment: there is no "
         "environment 'Qa'; did you mean 'QA'?"),
        ({"environments": {"wbe": "QA"}}, "catalog.yaml:13: inventories[0].environments.wbe: there "
         "is no group or host 'wbe'; did you mean 'web'?"),
        ({"environments": {"web": "Qa"}, "only": ["web"]},
         "catalog.yaml:13: inventories[0].environments.web: there is no environment 'Qa'; did you"),
        ({"environments": {"web": "QA"}},
         "hosts.ini:1: lonely: no group that `environments` names has it (lonely, db1); name one"),
        ({"roles": ["wbe"]}, "catalog.yaml:12: inventories[0].roles: there is no group or host"),
        ({"roles": {"web": "a/b"}}, "catalog.yaml:13: inventories[0].roles.web: the name 'a/b'"),
        ({"roles": "web"}, "catalog.yaml:12: inventories[0].roles: must be 'groups', a list"),
        ({"only": ["wbe"]}, "catalog.yaml:13: inventories[0].only[0]: there is no group or host"),
        ({"only": ["web", "a[b"]}, "catalog.yaml:14: inventories[0].only[1]: 'a[b' is no range"),
        ({"only": []}, "catalog.yaml:12: inventories[0].only: must not be empty"),
        ({"exclude": ["all"]}, "catalog.yaml:11: inventories[0].file: no host is left"),
        ({"format": "ini"}, "catalog.yaml:12: inventories[0].format: must be 'ansible', "),
        ({"user": "deploy"}, "catalog.yaml:12: inventories[0].user: 'user' cannot stand here; it "
         "belongs to connection"),
        ({"connection": {"usr": "x"}}, "catalog.yaml:13: inventories[0].connection.usr: unknown"),
        ({"connection": {"password": {"set": "S", "variable": "V"}}},
         "catalog.yaml:14: inventories[0].connection.password.set: there is no variable set 'S'"),
        ({"connection": {"host": "#{machne}"}},
         "catalog.yaml:13: inventories[0].connection.host: there is no placeholder"),
        ({"connection": ["x"]}, "catalog.yaml:12: inventories[0].connection: must be a mapping"),
        ({"connection": {"kind": "local", "user": "x"}}, ""),
    ],
)  # fmt: skip
def test_in_the_catalog(beside: Beside, section: dict[str, Any], fault: str) -> None:
    text = "lonely\n[web]\nweb1\nweb2\n[db]\ndb1\n"
    if not fault:  # a local machine takes no more of it than it can have
        assert len(beside.machines(text, **section)) == 4
        return
    (found,) = beside.faults(text, **section)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("none.ini", "{named}none.ini: there is no such file"),
        ("folder", "{named}folder: it is a folder: name the file in it, each one as an inventory"),
        (
            "program",
            "program:1: it is a program, or settings of one, and nothing here is run: give",
        ),
        ("latin", "latin:2: the file is not UTF-8"),
        ("x" * 300, "{named}" + "x" * 300 + ": can't be read: File name too long"),
    ],
)
def test_a_file_that_cannot_be_read(beside: Beside, file: str, fault: str) -> None:
    beside.write("program", "#!/bin/sh\necho '{}'\n").chmod(0o755)
    (beside.folder / "latin").write_bytes(b"a\n\xe4\n")
    (beside.folder / "folder").mkdir()
    (found,) = beside.faults("a\n", file=file)
    assert found.startswith(fault.replace("{named}", "catalog.yaml:11: inventories[0].file: "))


def test_with_an_inventory_unread_its_machines_are_not_taken_for_missing(beside: Beside) -> None:
    beside.write("hosts.ini", "[web]\na b\n")
    project = {"name": "p", "process": [{"name": "s", "roles": ["web"], "script": "ls"}]}
    section = {"file": "hosts.ini", "environment": "QA"}
    with pytest.raises(Exception, match=r"hosts\.ini:2: behind a host[^\n]*\Z"):
        beside.load(section, projects=[project])
    beside.write("hosts.ini", "[web]\na\n")
    assert beside.load(section, projects=[project]).of("project")


def test_a_machine_that_the_catalog_has_already_is_told_with_both_places(beside: Beside) -> None:
    beside.write("hosts.ini", "\na\n")
    section = {"file": "hosts.ini", "environment": "QA"}
    with pytest.raises(Exception, match=r"hosts\.ini:2: a: machine 'a' stands already in .*:\d+"):
        beside.load(section, machines=[{"name": "a", "environments": ["QA"]}])

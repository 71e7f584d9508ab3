"""The folders ``group_vars`` and ``host_vars`` beside an inventory."""

from __future__ import annotations

from tests.catalog.inventory.conftest import Beside

HOSTS = "[outer:children]\ninner\n[inner]\na\nb\n"


def user(beside: Beside, host: str = "a", text: str = HOSTS) -> str | None:
    found = beside.connections(text, "inventory/hosts.ini")[host].get("user")
    assert found is None or isinstance(found, str)
    return found


def test_the_order_is_that_of_ansible(beside: Beside) -> None:
    """Each place wins over all before it."""
    text = HOSTS + "[all:vars]\nansible_user=1\n"
    assert user(beside, text=text) == "1"
    text += "[outer:vars]\nansible_user=2\n"
    assert user(beside, text=text) == "2"
    text += "[inner:vars]\nansible_user=3\n"
    assert user(beside, text=text) == "3"
    beside.write("inventory/group_vars/all.yml", "ansible_user: 4\n")
    assert user(beside, text=text) == "4"
    beside.write("inventory/group_vars/outer.yml", "ansible_user: 5\n")
    assert user(beside, text=text) == "5"
    beside.write("inventory/group_vars/inner.yml", "ansible_user: 6\n")
    assert user(beside, text=text) == "6"
    text = text.replace("a\nb\n", "a ansible_user=7\nb\n", 1)
    assert user(beside, text=text) == "7"
    beside.write("inventory/host_vars/a.yml", "ansible_user: 8\n")
    assert user(beside, text=text) == "8"
    assert user(beside, "b", text) == "6"


def test_a_folder_stands_for_its_files_by_name_without_those_that_are_hidden(
    beside: Beside,
) -> None:
    beside.write("inventory/group_vars/inner/10", "ansible_user: first\n")
    beside.write("inventory/group_vars/inner/more/20.yaml", '{"ansible_user": "second"}')
    beside.write("inventory/group_vars/inner/.30.yml", "ansible_user: hidden\n")
    beside.write("inventory/group_vars/inner/40.yml~", "ansible_user: backup\n")
    beside.write("inventory/group_vars/inner/50.txt", "ansible_user: other\n")
    beside.write("inventory/group_vars/inner.yml", "ansible_user: passed over\n")
    assert user(beside) == "second"


def test_yaml_inventories_have_such_folders_and_others_have_not(beside: Beside) -> None:
    beside.write("group_vars/all", "ansible_user: deploy\n")
    assert beside.connections("web: {hosts: {a: }}\n", "hosts.yaml")["a"]["user"] == "deploy"
    assert "user" not in beside.connections('{"web": ["a"]}', "list.json")["a"]
    assert "user" not in beside.connections("Host a\n", "ssh_config")["a"]


def test_an_encrypted_file_is_told_and_left_out(beside: Beside) -> None:
    beside.write("group_vars/all/plain.yml", "ansible_user: deploy\n")
    beside.write("group_vars/all/vault.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    assert beside.warnings("a\n") == [
        "group_vars/all/vault.yml:1: it is encrypted by ansible-vault and left out: nothing in it "
        "is known here"
    ]
    assert beside.connections("a\n")["a"]["user"] == "deploy"


def test_what_is_wrong_in_such_a_file_is_told_with_its_line(beside: Beside) -> None:
    beside.write("group_vars/web.yml", "x: 1\nansible_port: many\n")
    beside.write("host_vars/a.yml", "- x\n")
    beside.write("host_vars/b.yml", "x: [\n")
    assert beside.faults("[web]\na\nb\nc\n") == [
        "host_vars/a.yml:1: variables must be a mapping",
        "host_vars/b.yml:2: wrong YAML: while parsing a flow node, did not find expected node "
        "content",
    ]
    beside.write("host_vars/a.yml", "")
    beside.write("host_vars/b.yml", "x: 1\n")
    assert beside.faults("[web]\na\nb\nc\n") == [
        "group_vars/web.yml:2: web: ansible_port: must be a whole number"
    ]


def test_a_name_that_leads_elsewhere_has_no_file(beside: Beside) -> None:
    beside.write("vars.yml", "- it would be a fault if it were read\n")
    beside.write("host_vars/x.yml", "")
    assert beside.faults("../vars\n") == [
        "hosts.ini:1: ../vars: the name '../vars' must not contain a slash"
    ]

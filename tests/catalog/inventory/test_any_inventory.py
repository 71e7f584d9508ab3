"""Whatever an inventory says: what was written comes back, or its faults are told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployengine.domain.errors import Fault, InvalidInput
from tests.catalog.inventory.conftest import Beside

NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="{}#\\"),
    min_size=1,
    max_size=12,
)
SAID = st.fixed_dictionaries(
    {}, optional={"user": TEXTS, "host": TEXTS, "port": st.integers(1, 65535)}
)
VARIABLES = {"user": "ansible_user", "host": "ansible_host", "port": "ansible_port"}
TAKEN = ("all", "ungrouped")
PIECES = st.lists(
    st.sampled_from(
        ["[", "]", "a", "web", ":children]", ":vars]", ":", "\n", " ", "=", "'", '"', "#", "&", "*",
         "{", "}", ",", "- ", "<<", "hosts", "children", "vars", "_meta", "hostvars", "[1:3]",
         "ansible_host", "ansible_port", "ansible_become", "ansible_connection", "{{ x }}",
         "ansible_ssh_common_args", "-o ProxyCommand=", "Host ", "Match ", "Include ", "ProxyJump ",
         "!vault ", "\t", "\x00", "\udcff", "9" * 5000, "../x", "---", "%h", "plugin"]
    ),
    max_size=40,
)  # fmt: skip

quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def quoted(value: Any) -> str:
    """A value as Python writes it, in quotes that keep it whole behind a host."""
    return "'" + repr(value).replace("'", "'\"'\"'") + "'"


def told(beside: Beside, section: dict[str, Any]) -> tuple[Fault, ...] | None:
    """The faults of an inventory; ``None``: its machines are there."""
    try:
        return None if beside.load(section).of("machine") else ()
    except InvalidInput as error:
        return error.faults


@st.composite
def inventories(draw: st.DrawFn) -> tuple[dict[str, Mapping[str, Any]], dict[str, list[str]]]:
    """Hosts with what is said of them, and groups with their hosts."""
    hosts = draw(st.dictionaries(NAMES, SAID, min_size=1, max_size=6))
    groups = draw(
        st.dictionaries(
            NAMES.filter(lambda name: name not in TAKEN),
            st.lists(st.sampled_from(sorted(hosts)), unique=True),
            max_size=4,
        )
    )
    return hosts, groups


@quick
@given(inventories(), st.booleans())
def test_what_is_written_comes_back(
    tmp_path: Path,
    written: tuple[dict[str, Mapping[str, Any]], dict[str, list[str]]],
    inline: bool,
) -> None:
    hosts, groups = written
    lines: list[str] = []
    for host, said in hosts.items():
        pairs = [f"{VARIABLES[key]}={quoted(value)}" for key, value in said.items()]
        lines.append(" ".join([host, *pairs]))
    for group, members in groups.items():
        lines += [f"[{group}]", *members]
    found = Beside(tmp_path).machines("\n".join(lines) + "\n")
    assert set(found) == set(hosts)
    for host, said in hosts.items():
        connection = found[host]["connection"]
        expected = {key: value for key, value in said.items() if (key, value) != ("host", host)}
        assert {key: connection[key] for key in VARIABLES if key in connection} == expected
        assert set(found[host].get("roles", ())) == {g for g, m in groups.items() if host in m}


@quick
@given(PIECES, st.sampled_from(["hosts.ini", "hosts.yaml", "hosts", "list.json", "ssh_config"]))
def test_any_text_is_read_or_its_faults_are_told_with_their_file(
    tmp_path: Path, pieces: list[str], name: str
) -> None:
    beside = Beside(tmp_path)
    file = beside.folder / name
    file.write_bytes("".join(pieces).encode("utf-8", "surrogateescape"))
    section = {"file": name, "environment": "QA"}
    if name == "ssh_config":
        section["format"] = "ssh_config"
    faults = told(beside, section)
    assert all(fault.message and fault.file for fault in faults or ())


NESTED = "".join(f"{' ' * n}children:\n{' ' * (n + 1)}a{n}:\n" for n in range(1, 600, 2))
ALIASES = "".join(
    f"x{n}: &x{n} {{children: {{p{n}: *x{n - 1}, q{n}: *x{n - 1}, r{n}: *x{n - 1}}}}}\n"
    for n in range(1, 30)
)
CHAIN = "".join(f"g{n}\n[g{n}:children]\n" for n in range(1, 3000))


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("hosts.yaml", f"a:\n{NESTED}", "catalog.yaml:11: inventories[0].file: no host is left"),
        ("list.json", "[" * 100_000, "list.json:1: wrong YAML: "),
        ("hosts.ini", "\n".join(f"h{n}-[1:10000]" for n in range(6)),
         "hosts.ini:6: h5-1: there are more than 50000 hosts"),
        ("hosts.yaml", f"x0: &x0 {{hosts: {{a: , b: }}}}\n{ALIASES}",
         "hosts.yaml:2: there are more than 200000 parts once its aliases are written out"),
        ("hosts.ini", "a ansible_host=" + "(" * 10_000, None),
        ("hosts.ini", "a ansible_host=" + "9" * 900 + "*" + "9" * 90, None),
        ("hosts.ini", f"[g0:children]\n{CHAIN}h\n[h]\na\n", None),
    ],
    ids=["nested", "open", "hosts", "aliases", "brackets", "product", "chain"],
)  # fmt: skip
def test_what_would_never_end_or_never_fit_ends(
    beside: Beside, name: str, text: str, fault: str | None
) -> None:
    beside.write(name, text)
    faults = told(beside, {"file": name, "environment": "QA"})
    if fault is None:
        assert faults is None
    else:
        assert faults is not None
        assert [beside.told(each)[: len(fault)] for each in faults] == [fault]

"""What is wrong with a file as YAML, and what a person expects from plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployengine.catalog import load
from deployengine.catalog.lines import read
from deployengine.domain.errors import Fault, InvalidInput
from tests.catalog.conftest import Faults, small


def test_wrong_syntax_is_told_with_its_line(faults: Faults) -> None:
    (fault,) = faults("environments: [QA]\nmachines:\n  - name: [a\nprojects: 1\n")
    assert fault.line == 4
    assert fault.message.startswith("wrong YAML")


def test_a_control_character_is_told_with_its_line(faults: Faults) -> None:
    (fault,) = faults("environments: [QA]\n# \x07\n")
    assert (fault.line, fault.message) == (2, "wrong YAML: a control character")


def test_a_key_that_stands_twice_is_told_at_the_second(faults: Faults) -> None:
    (fault,) = faults(small("    lifecycle: auto\n", "    lifecycle: auto\n    lifecycle: auto\n"))
    assert (fault.line, fault.path) == (20, "projects[0].lifecycle")
    assert "stands here twice (line 19)" in fault.message


def test_a_file_that_is_not_utf_8_is_told_with_the_line_of_the_first_wrong_byte(
    tmp_path: Path,
) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(b"environments:\n  - K\xf6ln\n")
    with pytest.raises(InvalidInput) as caught:
        load([file])
    assert caught.value.faults == (Fault("the file is not UTF-8", str(file), 2),)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['true']\n",
        "a: !vault secret\n",
        "? [a, b]\n: c\n",
        "a: !!int hello\n",
        "a: &x [*x]\n",
        "a: &x {<<: *x}\nb: {<<: *x}\n",
        "a: {<<: 3}\n",
        "{" * 5000,
    ],
)
def test_yaml_that_is_more_than_plain_data_is_a_fault_and_never_runs(text: str) -> None:
    _, faults, _ = read(text.encode(), "f")
    assert faults


def test_aliases_that_multiply_are_cut_off() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 9):
        levels.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    _, faults, whole = read("\n".join(levels).encode(), "f")
    assert not whole
    assert "too large" in faults[0].message


def test_merged_mappings_give_what_is_not_said_otherwise() -> None:
    text = b"base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\nlist: {<<: [*b, {z: 4}]}\n"
    (document,), faults, _ = read(text, "f")
    assert not faults
    assert document.data["other"] == {"x": 1, "y": 3}
    assert document.data["list"] == {"x": 1, "y": 2, "z": 4}


def test_a_byte_order_mark_and_several_documents_are_fine() -> None:
    documents, faults, whole = read("\ufeffa: 1\n---\nb: 2\n---\n".encode(), "f")
    assert [d.data for d in documents] == [{"a": 1}, {"b": 2}, None]
    assert documents[1].lines["b",] == 3
    assert whole
    assert not faults


def test_words_that_only_old_yaml_takes_for_something_else_are_text() -> None:
    (document,), _, _ = read(b"[no, on, y, 12:30, 2024-01-01, 0x1F, 1_000, .inf]", "f")
    assert document.data == ["no", "on", "y", "12:30", "2024-01-01", "0x1F", "1_000", ".inf"]


COMMENT = "begins a comment"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("        script: echo hello", "        script: rm -rf /opt/cache #{Number}"),
        ("        script: echo hello", "        script: #{Octopus.Step.Name}"),
        ("        script: echo hello", "        script: echo\n          hello #{Who}"),
        ("        roles: [web]", "        condition: #{Octopus.Step.Name}\n        roles: [web]"),
        ("        roles: [web]", "        touches:\n          - #{It}"),
        ("    variables: []\n    process",
         "    variables:\n      - name: Url\n        value: a #{Octopus.Step.Name}\n    process"),
        ("    variables: []\n    process",
         "    variables:\n      - name: Url\n        value:  #{Octopus.Step.Name}\n    process"),
        ("        roles: [web]\n        script: echo hello",
         "        kind: manual\n        instructions: Look #{Who}"),
    ],
)  # fmt: skip
def test_a_text_that_a_comment_swallows_is_told_once(
    faults: Faults, right: str, wrong: str
) -> None:
    text = small(right, wrong)
    (fault,) = faults(text)
    assert "#{" in text.split("\n")[(fault.line or 0) - 1]
    assert COMMENT in fault.message
    assert "write the text in quotes" in fault.message


@pytest.mark.parametrize(
    ("right", "noted"),
    [
        ("        script: echo hello", '        script: "echo hello" #{ as always }'),
        ("        roles: [web]", "        roles: [web]  #{was: db}"),
        ("        script: echo hello", "        script: |  #{ a shell }\n          echo hello"),
        ("    variables: []\n    process",
         "    variables: #{ no secret }\n      - name: Url\n        value: a\n    process"),
        ("    variables: []\n    process",
         "    variables:\n      - {name: Url, value: a} #{name: Old, value: b}\n    process"),
    ],
)  # fmt: skip
def test_a_comment_behind_what_is_whole_is_a_comment(
    tmp_path: Path, right: str, noted: str
) -> None:
    text = small("", "")
    assert right in text
    file = tmp_path / "catalog.yaml"
    file.write_text(text.replace(right, noted), encoding="utf-8")
    assert load([file])


def test_a_text_in_braces_that_a_comment_swallows_is_told_beside_what_comes_of_it(
    faults: Faults,
) -> None:
    found = faults(small("    variables: []", "    variables: [{name: A, value: #{B}}]"))
    assert COMMENT in found[0].message
    assert found[0].line == 16


@pytest.mark.parametrize(
    "script",
    [
        'script: "echo #{Octopus.Project.Name}"',
        "script: echo#{Octopus.Project.Name}",
        "script: echo  # {Octopus.Project.Name}",
        "script: echo\n        #{Octopus.Project.Name} is none\n",
        "script: |\n          echo #{Octopus.Project.Name}",
    ],
)
def test_what_is_a_comment_by_intent_and_what_is_none_is_no_fault(
    tmp_path: Path, script: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(small("script: echo hello", script), encoding="utf-8")
    load([file])

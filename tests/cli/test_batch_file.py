"""Batch files: what is read, and every fault at once with its line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from deployengine.cli.batch_file import read_batch
from deployengine.domain.errors import InvalidInput
from deployengine.engine.releases import Wanted


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def wanted(path: Path) -> list[Wanted]:
    rows, faults = read_batch(path)
    assert not faults
    return [row.wanted for row in rows]


def faults(path: Path) -> list[str]:
    try:
        _, found = read_batch(path)
    except InvalidInput as refused:
        found = list(refused.faults)
    assert found
    return [str(fault).removeprefix(str(path)).lstrip(":") for fault in found]


TWO = [Wanted("app-1", "1.0"), Wanted("app-2", "2.0", "hotfix")]

SAME: dict[str, str | bytes] = {
    "plain.csv": "app-1,1.0\napp-2,2.0,hotfix\n",
    "heading.csv": "project,version,channel\napp-1,1.0,\napp-2,2.0,hotfix\n",
    "order.csv": "Project, Channel, VERSION\napp-1,,1.0\napp-2,hotfix,2.0\n",
    "spaces.csv": "  app-1 , 1.0 \n\n# a remark\n app-2,  2.0, hotfix \n",
    "quoted.csv": '"app-1","1.0"\n"app-2","2.0","hotfix"\n',
    "windows.csv": "app-1,1.0\r\napp-2,2.0,hotfix\r\n",
    "excel.csv": b"\xef\xbb\xbfproject,version,channel\r\napp-1,1.0,\r\napp-2,2.0,hotfix\r\n",
    "no-end.csv": "app-1,1.0\napp-2,2.0,hotfix",
    "UPPER.CSV": "app-1,1.0\napp-2,2.0,hotfix\n",
    "remark-first.csv": "# project,version\napp-1,1.0\napp-2,2.0,hotfix\n",
    "remark-then-heading.csv": "# a remark\nproject,version,channel\napp-1,1.0\napp-2,2.0,hotfix\n",
    "blank-then-heading.csv": "\nproject,version,channel\napp-1,1.0\napp-2,2.0,hotfix\n",
    "mappings.yaml": """
- {project: app-1, version: "1.0"}
- project: app-2
  version: '2.0'
  channel: hotfix
""",
    "lists.yaml": '- [app-1, "1.0"]\n- [app-2, "2.0", hotfix]\n',
    "under.yml": 'releases:\n- {project: app-1, version: "1.0"}\n- [app-2, "2.0", hotfix]\n',
    "json.json": '[{"project":"app-1","version":"1.0","channel":null},["app-2","2.0","hotfix"]]',
    "bom.yaml": b'\xef\xbb\xbf- [app-1, "1.0"]\n- [app-2, "2.0", hotfix]\n',
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_rows_are_read_from_every_form(tmp_path: Path, name: str) -> None:
    assert wanted(write(tmp_path, name, SAME[name])) == TWO


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.csv", "project,version\n\napp-1,1\napp-2,2\n", [3, 4]),
        ("b.csv", '"app-1","1"\n# remark\napp-2,2\n', [1, 3]),
        ("c.yaml", '\n- [app-1, "1"]\n\n- project: app-2\n  version: "2"\n', [2, 4]),
    ],
)
def test_each_row_knows_its_line(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    path = write(tmp_path, name, text)
    assert [(row.file, row.line) for row in read_batch(path)[0]] == [(str(path), n) for n in lines]


def test_a_number_is_a_version_as_it_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", "- [app-1, 7]\n- [app-2, 1.10]\n")
    assert wanted(path) == [Wanted("app-1", "7"), Wanted("app-2", "1.10")]


def test_a_version_that_is_a_date_in_yaml_must_be_quoted_or_comes_as_it_was_written(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "a.yaml", "- [app-1, 2024-10-01]\n")
    assert wanted(path) == [Wanted("app-1", "2024-10-01")]


@pytest.mark.parametrize("written", ["0x10", "010", "1_000", "1e3", "yes", "12:30"])
def test_a_version_that_yaml_would_change_is_never_taken_for_another(
    tmp_path: Path, written: str
) -> None:
    path = write(tmp_path, "a.yaml", f"- [app-1, {written}]\n")
    with suppress(InvalidInput):  # which asks for quotes
        assert wanted(path) == [Wanted("app-1", written)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "project,version,packages\nshop,1.0,web=1.10 api=2.0-rc1\n"),
        ("b.csv", "shop,1.0,,web=1.10   api=2.0-rc1\n"),
        ("c.yaml", "- {project: shop, version: 1.0, packages: web=1.10 api=2.0-rc1}\n"),
        ("d.yaml", "- {project: shop, version: 1.0, packages: {web: 1.10, api: 2.0-rc1}}\n"),
        ("e.yaml", "- [shop, 1.0, '', [web=1.10, api=2.0-rc1]]\n"),
    ],
)
def test_the_versions_of_packages_are_read_from_every_form(
    tmp_path: Path, name: str, text: str
) -> None:
    packages = (("web", "1.10"), ("api", "2.0-rc1"))
    assert wanted(write(tmp_path, name, text)) == [Wanted("shop", "1.0", None, packages)]


@pytest.mark.parametrize(
    ("packages", "told"),
    [
        ("web", "2: 'web' should be NAME=VERSION, as shop=1.4.0"),
        ("web=latest", "2: 'latest' is no version of a package: it begins with a digit"),
        ("../web=1", "2: '../web' is no name of a package: use letters, digits and . _ + -"),
        ("web=1 web=2", "2: package web is named twice"),
    ],
)
def test_what_is_wrong_with_a_package_is_told_with_its_line(
    tmp_path: Path, packages: str, told: str
) -> None:
    text = f"project,version,packages\nshop,1.0,{packages}\n"
    assert faults(write(tmp_path, "a.csv", text)) == [told]


def test_a_list_in_the_place_of_a_name_is_no_name(tmp_path: Path) -> None:
    text = "- {project: [shop], version: {a: b}}\n"
    assert faults(write(tmp_path, "a.yaml", text)) == [
        "1: project is missing",
        "1: version is missing",
    ]


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
- {project: app-1, version: "1"}
- {project: app-2, verson: "1"}
- {version: "1"}
- [a, "1", c, d=1, e]
- just words
- {project: "  ", version: null}
"""
    told = faults(write(tmp_path, "wrong.yaml", text))
    assert told == [
        "2: unknown column 'verson'; did you mean 'version'?",
        "2: version is missing",
        "3: project is missing",
        "4: 5 columns, at most 4 are known",
        "5: a row names project and version",
        "6: project is missing",
        "6: version is missing",
    ]


def test_an_unknown_column_of_a_heading_is_told_with_the_nearest(tmp_path: Path) -> None:
    told = faults(write(tmp_path, "wrong.csv", "project,version,chanel\napp-1,1,hotfix\n"))
    assert told == ["2: unknown column 'chanel'; did you mean 'channel'?"]


def test_a_row_with_more_cells_than_its_heading_is_a_fault(tmp_path: Path) -> None:
    told = faults(write(tmp_path, "wrong.csv", "project,version\napp-1,1,hotfix\n"))
    assert len(told) == 1
    assert told[0].startswith("2: ")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "the batch has no rows"),
        ("b.csv", "project,version\n", "the batch has no rows"),
        ("c.yaml", "", "the batch has no rows"),
        ("n.csv", "project;version\napp-1;1\n", "1: columns are separated by commas"),
        ("o.csv", "# a remark\napp-1\t1\n", "2: columns are separated by commas"),
        ("d.yaml", "[]", "the batch has no rows"),
        ("e.yaml", "releases: []", "the batch has no rows"),
        ("f.yaml", "app-1 1.0", "a batch is a list of rows"),
        ("g.yaml", "project: app-1\n", "a batch is a list of rows"),
        ("h.yaml", "- [a, 'b'\n", "this is not YAML"),
        ("i.yaml", "- \t[a]\n\t- b\n", "this is not YAML"),
        ("j.csv", b"app-1,1\xff\n", "it is not UTF-8 text"),
        ("k.yaml", "- !!python/object/apply:os.system [true]\n", ""),
        ("l.yaml", "- [a, 'b']\n---\n- [c, 'd']\n", "this is not YAML"),
        ("m.yaml", "- {[a]: b}\n", ""),
    ],
)
def test_what_is_no_batch_is_refused_as_one(
    tmp_path: Path, name: str, text: str | bytes, said: str
) -> None:
    assert said in "\n".join(faults(write(tmp_path, name, text)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert faults(tmp_path / "none.csv") == [" cannot read the batch: No such file or directory"]
    assert faults(tmp_path) == [" cannot read the batch: Is a directory"]

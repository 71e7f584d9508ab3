"""Values on their way into the configuration files of a package."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from deployengine.domain.insertion import Plain
from deployengine.domain.variables import key
from deployengine.packages.archives import repack
from deployengine.packages.configuration import LARGEST, Configuration, Wanted, configure
from deployengine.packages.errors import Unconfigurable
from deployengine.packages.globs import matches
from tests.support.packages import zip_of


def plain(values: Mapping[str, str], secret: tuple[str, ...] = ()) -> dict[str, Plain]:
    return {key(n): Plain(n, text, sensitive=n in secret) for n, text in values.items()}


def configured(
    folder: Path,
    files: Mapping[str, str | bytes],
    values: Mapping[str, str],
    modes: Mapping[str, int] = {},
    **wanted: list[str],
) -> Configuration:
    source = zip_of(folder / "shop.1.0.zip", files, modes)
    repack(source, source.name, folder / "archive")
    return configure(folder / "archive", "shop 1.0", Wanted(**wanted), plain(values))


def one(folder: Path, name: str, content: str, values: Mapping[str, str]) -> str:
    """The one file that comes out otherwise, with its settings."""
    found = configured(folder, {name: content}, values, settings=[name])
    return found.files[0].content.decode() if found.files else content


# ---- which files ----


@pytest.mark.parametrize(
    ("path", "pattern", "meant"),
    [
        ("app.conf", "*.conf", True),
        ("etc/app.conf", "*.conf", False),
        ("etc/app.conf", "**/*.conf", True),
        ("app.conf", "**/*.conf", True),
        ("etc/a/b/app.conf", "etc/**", True),
        ("etc2/app.conf", "etc/**", False),
        ("app1.conf", "app?.conf", True),
        ("app/.conf", "app?.conf", False),
        ("app[0-3].conf", "app[0-3].conf", True),
        ("app1.conf", "app[0-3].conf", False),
        ("[]", "[]", True),
        ("appXconf", "app.conf", False),
        ("a[b.conf", "a[b.conf", True),
        ("a\nb", "*", True),
    ],
)
def test_a_pattern_means_files_of_a_folder_unless_it_says_more(
    path: str, pattern: str, meant: bool
) -> None:
    assert matches(path, pattern) is meant


def test_references_are_replaced_in_named_files_and_in_no_other(tmp_path: Path) -> None:
    files = {"a.conf": "port=#{Port}\n", "etc/b.conf": "#{Port}", "c.txt": "#{Port}"}
    found = configured(tmp_path, files, {"Port": "80"}, substitute=["*.conf", "x/*.conf"])
    assert [(f.path, f.content) for f in found.files] == [("a.conf", b"port=80\n")]
    assert found.unmatched == ("x/*.conf",)


def test_a_file_keeps_its_permissions(tmp_path: Path) -> None:
    modes = {"run.sh": 0o100750}
    found = configured(tmp_path, {"run.sh": "#{A}"}, {"A": "b"}, modes, substitute=["run.sh"])
    assert found.files[0].mode == 0o750


def test_a_file_in_which_nothing_changes_does_not_travel(tmp_path: Path) -> None:
    files = {"a.json": '{"a": 1}'}
    assert configured(tmp_path, files, {"b": "2"}, settings=["a.json"]).files == ()


def test_both_kinds_may_be_wanted_of_one_file(tmp_path: Path) -> None:
    files = {"a.json": '{"a": 1, "#{Key}": 2}'}
    values = {"Key": "b", "b": "3"}
    found = configured(tmp_path, files, values, substitute=["a.json"], settings=["a.json"])
    assert found.files[0].content == b'{"a": 1, "b": 3}'


def test_the_content_is_no_part_of_what_is_shown(tmp_path: Path) -> None:
    source = zip_of(tmp_path / "shop.1.0.zip", {"a": "#{Secret}"})
    repack(source, source.name, tmp_path / "archive")
    values = plain({"Secret": "s3cret"}, secret=("Secret",))
    found = configure(tmp_path / "archive", "shop 1.0", Wanted(["a"]), values)
    assert found.files[0].content == b"s3cret"
    assert found.secrets == {"s3cret"}
    assert "s3cret" not in repr(found)


def test_a_reference_to_nothing_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(Unconfigurable, match=r"a\.conf of shop 1\.0: .*'?Prot'?") as refused:
        configured(tmp_path, {"a.conf": "#{Prot}"}, {"Port": "1"}, substitute=["a.conf"])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.conf", b"\xff\xfea\0", "no text in UTF-8"),
        ("a.conf", b"a\0b", "a NUL"),
        ("a.json", b"{", "no JSON: a text in quotes is missing, line 1"),
        ("a.json", b'{\n"a": 1 2}', "a comma is missing, line 2"),
        ("a.json", b"[" * 500, "nested too deeply"),
        ("a.json", b'{"a": nope}', "'nope' is no value"),
        ("a.json", rb'{"\x": 1}', "can't be read"),
        ("a.yaml", b"a: [", "no YAML"),
        ("a.toml", b"a = ", "no TOML"),
        ("a.ini", b"a = 1", "end with .json"),
        ("a.conf", b"x" * (LARGEST + 1), "more than"),
    ],
)
def test_what_can_not_be_configured_is_told_in_one_line(
    name: str, content: bytes, told: str, tmp_path: Path
) -> None:
    kind = "substitute" if name.endswith(".conf") else "settings"
    with pytest.raises(Unconfigurable) as refused:
        configured(tmp_path, {name: content}, {"a": "1"}, **{kind: [name]})
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert f"{name} of shop 1.0" in str(refused.value)


def test_two_variables_for_one_place_are_a_question(tmp_path: Path) -> None:
    with pytest.raises(Unconfigurable, match=r"Log:Level and log\.level mean the same place"):
        one(tmp_path, "a.json", '{"log": {"level": 1}}', {"Log:Level": "2", "log.level": "3"})


# ---- JSON ----

APPSETTINGS = """\ufeff{
  // what is logged
  "Logging": {
    "Level": { "Default": "Information", "Microsoft.Hosting": "Warning" },  /* by namespace */
  },
  "Port": 8080,
  "Ratio": 0.5,
  "Debug": true,
  "Owner": null,
  "Hosts": ["a", "b", ],
}
"""


def test_a_json_file_changes_in_its_values_and_nowhere_else(tmp_path: Path) -> None:
    new = one(
        tmp_path,
        "appsettings.json",
        APPSETTINGS,
        {
            "Logging:Level:Default": 'De"bug\n',
            "logging.level.microsoft.hosting": "Error",
            "PORT": "443",
            "Ratio": "1e-3",
            "Debug": "False",
            "Owner": "me",
            "Hosts:1": "c",
        },
    )
    expected = APPSETTINGS
    for old, then in (
        ('"Information"', '"De\\"bug\\n"'),
        ('"Warning"', '"Error"'),
        ("8080", "443"),
        ("0.5", "1e-3"),
        ("true", "false"),
        ("null", '"me"'),
        ('"b"', '"c"'),
    ):
        expected = expected.replace(old, then)
    assert new == expected


def test_what_is_no_number_becomes_text_and_a_list_needs_a_list(tmp_path: Path) -> None:
    old = '{"a": 1, "b": [1], "c": {"d": 1}, "e": true, "f": null}'
    values = {"a": "many", "b": "[2, 3]", "c": "none", "c.d": "2", "e": "maybe", "f": "7"}
    new = json.loads(one(tmp_path, "a.json", old, values))
    assert new == {"a": "many", "b": [2, 3], "c": {"d": 2}, "e": "maybe", "f": 7}


def test_within_a_list_that_is_replaced_nothing_else_is(tmp_path: Path) -> None:
    new = one(tmp_path, "a.json", '{"a": [1, 2]}', {"a": "[7]", "a:0": "9"})
    assert json.loads(new) == {"a": [7]}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"[a-z]{1,4}\Z"), inner)
        ),
        max_leaves=12,
    ).map(lambda value: {"top": value, "end": 1})
)
def test_any_json_is_read_and_stays_as_it_is_but_for_one_value(document: object) -> None:
    from deployengine.packages.settings.formats import format_of

    change = format_of("a.json")
    assert change is not None
    for indent in (None, 2):
        text = json.dumps(document, indent=indent)
        assert change(text, {}) == text
        new = json.loads(change(text, {("end",): lambda: "2"}))
        assert new == {**document, "end": 2}  # type: ignore[dict-item]


# ---- YAML ----

VALUES_YAML = """\
# for the shop
logging:
  level: Information   # how much
  file: '/var/log/shop.log'
  quoted: "a b"
port: 8080
debug: yes
nothing:
tilde: ~
base: &base
  host: &host db-1
other: *host
text: |
  one
  two
hosts:
- a
-   b   # the second
flow: {a: 1, b: [x, y]}
last: end
---
port: 1
"""


def test_a_yaml_file_changes_in_its_values_and_nowhere_else(tmp_path: Path) -> None:
    new = one(
        tmp_path,
        "values.yaml",
        VALUES_YAML,
        {
            "Logging:Level": "Debug",
            "logging.file": "/it's",
            "logging.quoted": 'q"\t\u2028',
            "port": "443",
            "debug": "false",
            "nothing": "some",
            "tilde": "3",
            "base.host": "db-2",
            "text": "three: four",
            "hosts.1": "no",
            "flow.b.0": "z, z",
        },
    )
    expected = VALUES_YAML
    for old, then in (
        ("Information ", "Debug "),
        ("'/var/log/shop.log'", "'/it''s'"),
        ('"a b"', '"q\\"\\t\\U00002028"'),
        ("8080", "443"),
        ("port: 1\n", "port: 443\n"),
        ("yes", "false"),
        ("nothing:", "nothing: some"),
        ("~", "3"),
        ("db-1", "db-2"),
        ("|\n  one\n  two\n", '"three: four"\n'),
        ("  b ", '  "no" '),
        ("[x,", '["z, z",'),
    ):
        expected = expected.replace(old, then)
    assert new == expected
    first, second = YAML(typ="safe").load_all(new)
    assert first["base"]["host"] == first["other"] == "db-2"
    assert first["hosts"] == ["a", "no"]
    assert second == {"port": 443}


def test_lists_and_mappings_of_yaml_are_replaced_by_json(tmp_path: Path) -> None:
    values = {"hosts": '["c"]', "flow": "{}", "logging": '{"level": "x"}', "base": "no"}
    new = one(tmp_path, "values.yml", VALUES_YAML, values)
    first = next(yaml.safe_load_all(new))
    assert (first["hosts"], first["flow"]) == (["c"], {})
    assert (first["logging"], first["port"], first["last"]) == ({"level": "x"}, 8080, "end")
    assert first["base"] == {"host": "db-1"}
    assert "# for the shop" in new


def test_an_alias_gives_way_to_a_value_of_its_own(tmp_path: Path) -> None:
    first = next(yaml.safe_load_all(one(tmp_path, "a.yaml", VALUES_YAML, {"other": "db-9"})))
    assert (first["other"], first["base"]["host"]) == ("db-9", "db-1")


@given(st.text())
def test_whatever_a_value_holds_yaml_reads_it_back(value: str) -> None:
    from deployengine.packages.settings.formats import format_of

    change = format_of("a.yaml")
    assert change is not None
    for style in ("a", "'a'", '"a"', "|\n    a"):
        new = change(f"top:\n  x: {style}\n  y: 1\n", {("top", "x"): lambda: value})
        assert YAML(typ="safe").load(io.StringIO(new)) == {"top": {"x": value, "y": 1}}


def test_windows_line_ends_stay(tmp_path: Path) -> None:
    assert one(tmp_path, "a.yaml", "a: 1\r\nb: 2\r\n", {"b": "3"}) == "a: 1\r\nb: 3\r\n"
    assert one(tmp_path, "a.env", "A=1\r\nB=2\r\n", {"b": "3"}) == "A=1\r\nB=3\r\n"


# ---- TOML ----

TOML = """\
# top
title = "x" # about it
[server]   # srv
port = 80   # the port
tags = ["a", # first
  "b"]
since = 2024-01-01
[[workers]]
n = 1 # one
[a.b."c.d"]
on = true
"""


def test_a_toml_file_changes_in_its_values_and_nowhere_else(tmp_path: Path) -> None:
    new = one(
        tmp_path,
        "a.toml",
        TOML,
        {
            "Title": 'y"',
            "server:port": "81",
            "server:tags:1": "z",
            "server:since": "2025-02-03",
            "workers:0:n": "7",
            "a:b:c.d:on": "False",
            "a:b": "no mapping",
        },
    )
    expected = TOML
    for old, then in (
        ('"x"', '"y\\""'),
        ("80", "81"),
        ('"b"', '"z"'),
        ("2024-01-01", "2025-02-03"),
        ("n = 1", "n = 7"),
        ("true", "false"),
    ):
        expected = expected.replace(old, then)
    assert new == expected


# ---- environment files ----

ENV = """\
# of the shop
LOGGING__LEVEL=info   # how much
export PORT = 80
QUOTED="a b" # c
SINGLE='x'
EMPTY=
LONG="one
TWO=2"
"""


@pytest.mark.parametrize("name", [".env", "shop.env", "config/.env.production"])
def test_an_environment_file_changes_in_its_values_and_nowhere_else(
    name: str, tmp_path: Path
) -> None:
    values = {
        "Logging:Level": "debug",
        "port": "443 # no",
        "QUOTED": 'c"$d',
        "single": "it's",
        "Empty": "x",
        "TWO": "3",
    }
    new = one(tmp_path, name, ENV, values)
    expected = ENV
    for old, then in (
        ("info", "debug"),
        ("= 80", "= '443 # no'"),
        ('"a b"', "'c\"$d'"),
        ("'x'", '"it\'s"'),
        ("EMPTY=", "EMPTY=x"),
    ):
        expected = expected.replace(old, then)
    assert new == expected


@pytest.mark.parametrize(("value", "told"), [("x\0y", "holds a NUL"), ("it's $x", "holds ' and")])
def test_a_value_that_no_line_can_hold_is_refused(tmp_path: Path, value: str, told: str) -> None:
    with pytest.raises(Unconfigurable, match=told):
        one(tmp_path, ".env", "A=1", {"a": value})


@pytest.mark.parametrize("old", ["A=1", "A='x'", 'A="x"'])
@pytest.mark.parametrize(
    "value", ["pa$$w", "a\\b", "two\nlines\r\n", "`date`", 'say "x"', "it's", "#no", "$(x)", "ä€"]
)
def test_a_shell_reads_from_an_environment_file_what_was_meant(
    tmp_path: Path, old: str, value: str
) -> None:
    (tmp_path / "file.env").write_text(one(tmp_path, ".env", old, {"a": value}), newline="")
    read = subprocess.run(
        ["sh", "-c", '. ./file.env; printf %s "$A"'],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert read.stdout.decode() == value


@pytest.mark.parametrize(
    ("text", "place", "value", "expected"),
    [
        ("a: &x {b: 1}\nc: *x\n", "a", '{"b": 2}', 'a: &x {"b": 2}\nc: *x\n'),
        ("x: {c}\n", "x:c", "7", "x: {c}\n"),
        ("? a\nb: 1\n", "a", "n", "? a\nb: 1\n"),
        ("a:\n  -\n  - 2\n", "a:0", "v", "a:\n  - v\n  - 2\n"),
    ],
)
def test_odd_yaml_stays_yaml(
    tmp_path: Path, text: str, place: str, value: str, expected: str
) -> None:
    assert one(tmp_path, "a.yaml", text, {place: value}) == expected


def test_what_would_be_no_yaml_any_more_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unconfigurable, match="it would be no YAML any more"):
        one(tmp_path, "a.yaml", "a: &x\n  b: 1\nc: *x\n", {"a": '{"b": 2}'})

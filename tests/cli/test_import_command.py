"""``import octopus``: the file it writes, what it tells, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployengine.cli.main import main
from tests.importing.octopus import MIGRATOR, as_folder, as_zip, shop


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither database nor Redis can be had: an import needs none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEPLOYENGINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DEPLOYENGINE_REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    monkeypatch.setenv("DEPLOYENGINE_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_it_writes_the_catalog_and_tells_what_is_not_as_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("import", "octopus", str(MIGRATOR)) == 0

    out, err = capsys.readouterr()
    first, second, *rest = out.splitlines()
    assert first == (
        "wrote catalog.yaml: 3 environments, 8 machines, 2 lifecycles, 2 variable sets, 1 project"
    )
    assert second == f"not as in Octopus ({len(rest) - 1}):"
    assert "  Projects/Retired.json: project Retired: it is disabled; left out" in rest
    assert rest[-1] == "next: read catalog.yaml, then deployengine apply catalog.yaml --dry-run"
    assert err == ""
    assert "- name: Shop" in Path("catalog.yaml").read_text(encoding="utf-8")


def test_json_is_one_document_with_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = as_zip(shop(machine={"IsDisabled": True}), tmp_path / "export.zip")

    assert run("import", "octopus", str(export), "--output", "made.yaml", "--json") == 0

    document = json.loads(capsys.readouterr().out)
    assert document["written"] == "made.yaml"
    assert document["counts"]["projects"] == 1
    assert document["to_correct"] == []
    assert document["not_carried_over"][0] == {
        "file": "Machines-1-D4C63A85E7894C5D8C20D9297FEA1A43.json",
        "name": "machine web-1",
        "what": "it is disabled",
        "instead": "left out",
    }


def test_a_file_that_is_there_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("catalog.yaml").write_text("mine")

    assert run("import", "octopus", str(as_folder(shop(), tmp_path / "export"))) == 2

    assert capsys.readouterr().err == (
        "catalog.yaml exists already; choose another --output, or remove it; nothing was written\n"
    )
    assert Path("catalog.yaml").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = str(as_folder(shop(), tmp_path / "export"))

    assert run("import", "octopus", export, "--output", "nowhere/catalog.yaml") == 2

    assert capsys.readouterr().err == (
        "cannot write nowhere/catalog.yaml: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "export: there is no such folder or file\n"),
        ("{}", "export: holds no project of Octopus; give the folder of Octopus.Migrator"),
        ('{\n"Id": }', "a.json:2: broken JSON: Expecting value\n"),
    ],
)
def test_what_is_no_export_is_refused_and_nothing_is_written(
    content: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("export").mkdir()
        Path("export/a.json").write_text(content)

    assert run("import", "octopus", "export") == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(said)
    assert not Path("catalog.yaml").exists()


def test_ids_that_lead_nowhere_are_told_all_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = shop(
        project={"LifecycleId": "Lifecycles-9"}, machine={"EnvironmentIds": ["x", "y"]}
    )

    assert run("import", "octopus", str(as_folder(documents, tmp_path / "export"))) == 2

    missing = "refers to {}, which is not in the export"
    assert capsys.readouterr().err.splitlines() == [
        "Projects/Shop.json: project Shop: LifecycleId " + missing.format("Lifecycles-9"),
        "Machines/web-1.json: machine web-1: EnvironmentIds " + missing.format("x"),
        "Machines/web-1.json: machine web-1: EnvironmentIds " + missing.format("y"),
    ]


def test_a_catalog_that_apply_would_refuse_is_told_with_its_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    circle = [{"Name": "A", "Value": "#{B}"}, {"Name": "B", "Value": "#{A}"}]
    export = as_folder(shop(variables={"Variables": circle}), tmp_path / "export")

    assert run("import", "octopus", str(export)) == 1

    out = capsys.readouterr().out
    assert "to be corrected before it can be applied (1):\n" in out
    assert "variables refer to each other in a circle: A → B → A" in out
    assert Path("catalog.yaml").exists()

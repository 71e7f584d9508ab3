"""Settings: what wins, what is refused, what is never shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from deployengine.domain.errors import InvalidInput
from deployengine.failpoints import MUTATIONS_VARIABLE, TRACE_VARIABLE, VARIABLE
from deployengine.settings import Settings, redacted_url

EXAMPLE = Path(__file__).parents[1] / "config" / "settings.yaml"

#: What the default of a setting is called in the example file, where null stands for it.
NAMED_DEFAULTS = {
    "home": ".deployengine in the current folder",
    "database_url": "the SQLite file deployengine.db in the home",
    "redis_url": "an embedded server in the home, started when needed",
    "master_key": "none, a key file is used",
    "master_key_file": "master.key in the home, made at first use",
}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def faults_of(environ: dict[str, str], cwd: Path, file: Path | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        Settings.read(environ, cwd, file)
    return [str(fault) for fault in caught.value.faults]


def test_without_anything_given_everything_is_embedded_in_the_current_folder(tmp_path: Path):
    settings = Settings.read({}, tmp_path)

    assert settings.home == tmp_path / ".deployengine"
    assert settings.embedded_database
    assert settings.embedded_redis
    assert settings.database_url == f"sqlite:///{settings.home}/deployengine.db"
    assert settings.database_path == settings.home / "deployengine.db"
    assert settings.redis_dir == settings.home / "redis"
    assert settings.logs == settings.home / "logs"
    assert settings.task_cap == 5
    assert not settings.home.exists(), "reading settings makes nothing"


def test_a_variable_outranks_the_file_which_outranks_the_default(tmp_path: Path):
    write(tmp_path / ".deployengine/settings.yaml", "task_cap: 7\ncancel_grace: 3\n")

    settings = Settings.read({"DEPLOYENGINE_TASK_CAP": "9"}, tmp_path)

    assert (settings.task_cap, settings.cancel_grace, settings.output_interval) == (9, 3.0, 1.0)


def test_urls_that_are_given_are_not_embedded(tmp_path: Path):
    environ = {
        "DEPLOYENGINE_DATABASE_URL": "postgresql+psycopg://u:p@db/x",
        "DEPLOYENGINE_REDIS_URL": "redis://r:6379/1",
    }

    settings = Settings.read(environ, tmp_path)

    assert not settings.embedded_database
    assert not settings.embedded_redis
    assert settings.database_url == "postgresql+psycopg://u:p@db/x"


def test_the_settings_variable_names_a_file_which_may_name_the_home(tmp_path: Path):
    file = write(tmp_path / "etc/engine.yaml", "home: ../state\nlog_level: debug\n")

    settings = Settings.read({"DEPLOYENGINE_SETTINGS": "etc/engine.yaml"}, tmp_path)

    assert settings.home == tmp_path / "state", "a path in a file counts from the file's folder"
    assert settings.log_level == "DEBUG"
    assert settings == Settings.read({}, tmp_path, file), "the argument does the same"


def test_a_named_file_that_is_missing_is_a_fault_and_the_one_in_the_home_is_not(tmp_path: Path):
    assert faults_of({"DEPLOYENGINE_SETTINGS": "no.yaml"}, tmp_path) == [
        f"{tmp_path}/no.yaml: there is no such settings file"
    ]
    assert Settings.read({}, tmp_path).task_cap == 5


def test_a_file_found_in_the_home_cannot_name_another_home(tmp_path: Path):
    file = write(tmp_path / ".deployengine/settings.yaml", "home: elsewhere\n")

    (fault,) = faults_of({}, tmp_path)

    assert fault.startswith(f"{file}: home: ")
    assert "set DEPLOYENGINE_HOME" in fault


def test_an_empty_variable_counts_as_unset(tmp_path: Path):
    environ = {"DEPLOYENGINE_REDIS_URL": "", "DEPLOYENGINE_SETTINGS": ""}

    assert Settings.read(environ, tmp_path).embedded_redis


def test_all_faults_are_reported_at_once_with_their_places(tmp_path: Path):
    file = write(
        tmp_path / "s.yaml",
        "task_cup: 3\nlog_level: verbos\ncancel_grace: -1\ntask_cap: true\ntask_cap: 2\n",
    )
    environ = {"DEPLOYENGINE_OUTPUT_INTERVAL": "often", "DEPLOYENGINE_REDIS_ULR": "redis://r"}

    assert faults_of(environ, tmp_path, file) == [
        "DEPLOYENGINE_OUTPUT_INTERVAL: 'often' should be a number of seconds, 0.1 or more",
        "there is no environment variable 'DEPLOYENGINE_REDIS_ULR'; "
        "did you mean 'DEPLOYENGINE_REDIS_URL'?",
        f"{file}:1: there is no setting 'task_cup'; did you mean 'task_cap'?",
        f"{file}:2: log_level: there is no log level 'verbos'; "
        "known are: DEBUG, INFO, WARNING, ERROR, CRITICAL",
        f"{file}:3: cancel_grace: -1 should be a number of seconds, 0 or more",
        f"{file}:4: task_cap: True should be a whole number, 1 or more",
        f"{file}:5: task_cap: is given twice",
    ]


def test_what_scripts_find_in_their_environment_is_no_setting(tmp_path: Path):
    names = ("PROJECT", "RELEASE", "ENVIRONMENT", "MACHINE", "STEP", "DEPLOYMENT", "ATTEMPT")
    environ = {f"DEPLOYENGINE_{name}": "x" for name in (*names, "TICKET", "DEBUG")}

    settings = Settings.read(environ, tmp_path)

    assert settings == Settings.read({}, tmp_path)


def test_what_is_for_developers_is_no_setting(tmp_path: Path):
    names = (VARIABLE, TRACE_VARIABLE, MUTATIONS_VARIABLE)

    settings = Settings.read(dict.fromkeys(names, "x"), tmp_path)

    assert settings == Settings.read({}, tmp_path)


def test_a_lease_is_given_in_seconds(tmp_path: Path):
    assert Settings.read({}, tmp_path).lease == 10.0
    assert Settings.read({"DEPLOYENGINE_LEASE": "0.5"}, tmp_path).lease == 0.5


@pytest.mark.parametrize("text", ["task_cap: [", "- task_cap", "task_cap", "? [1\n: 2"])
def test_a_file_that_is_no_mapping_names_the_line(tmp_path: Path, text: str):
    file = write(tmp_path / "s.yaml", text)

    (fault,) = faults_of({}, tmp_path, file)

    assert fault.startswith(f"{file}:")
    assert fault.removeprefix(f"{file}:")[0].isdigit()


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n", "task_cap:\nredis_url: null\n"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str):
    file = write(tmp_path / "s.yaml", text)

    assert Settings.read({}, tmp_path, file) == Settings.read({}, tmp_path)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEPLOYENGINE_TASK_CAP", "0"),
        ("DEPLOYENGINE_TASK_CAP", "2.5"),
        ("DEPLOYENGINE_TASK_CAP", "-1"),
        ("DEPLOYENGINE_CANCEL_GRACE", "nan"),
        ("DEPLOYENGINE_HOUSEKEEPING_INTERVAL", "0"),
        ("DEPLOYENGINE_HOUSEKEEPING_INTERVAL", "inf"),
        ("DEPLOYENGINE_LEASE", "0.4"),
        ("DEPLOYENGINE_LEASE", "inf"),
        ("DEPLOYENGINE_DATABASE_URL", "postgresql://db/x"),
        ("DEPLOYENGINE_DATABASE_URL", "mysql://db/x"),
        ("DEPLOYENGINE_REDIS_URL", "localhost:6379"),
        ("DEPLOYENGINE_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_value_out_of_its_range_names_its_variable(tmp_path: Path, variable: str, value: str):
    (fault,) = faults_of({variable: value}, tmp_path)

    assert fault.startswith(f"{variable}: ")


def test_a_home_that_sqlite_could_not_name_is_refused(tmp_path: Path):
    assert faults_of({"DEPLOYENGINE_HOME": "what?"}, tmp_path) == [
        "home: the path may not contain '?'"
    ]


def test_a_key_and_a_key_file_together_are_refused(tmp_path: Path):
    environ = {"DEPLOYENGINE_MASTER_KEY": "k", "DEPLOYENGINE_MASTER_KEY_FILE": "f"}

    assert faults_of(environ, tmp_path) == [
        "master_key: give master_key or master_key_file, not both"
    ]


def test_a_key_by_variable_outranks_a_key_file_in_the_file(tmp_path: Path):
    file = write(tmp_path / "s.yaml", "master_key_file: k\n")

    settings = Settings.read({"DEPLOYENGINE_MASTER_KEY": "mine"}, tmp_path, file)

    assert (settings.master_key, settings.master_key_file) == ("mine", None)


def test_nothing_printed_shows_a_secret(tmp_path: Path):
    environ = {
        "DEPLOYENGINE_MASTER_KEY": "hush-key",
        "DEPLOYENGINE_DATABASE_URL": "postgresql+psycopg://u:hush@db/x?sslpassword=hush",
        "DEPLOYENGINE_REDIS_URL": "unix:///r.sock?db=0&password=hush",
    }

    settings = Settings.read(environ, tmp_path)

    for shown in (repr(settings), str(settings), f"{settings.redacted()}"):
        assert "hush" not in shown
        assert "postgresql+psycopg://u:***@db/x?sslpassword=***" in shown
    assert settings.redacted()["task_cap"] == 5


def test_no_fault_shows_a_secret(tmp_path: Path):
    environ = {
        "DEPLOYENGINE_DATABASE_URL": "postgres://u:hu@sh@db/x",
        "DEPLOYENGINE_REDIS_URL": "http://:hush@r",
    }

    faults = faults_of(environ, tmp_path)

    assert len(faults) == 2
    assert not any("sh@" in fault or "hu" in fault for fault in faults)


@pytest.mark.parametrize(
    "url", ["redis://localhost:6379/0", "unix:///run/a:b.sock?db=0", "sqlite:////x/y.db"]
)
def test_a_url_without_a_password_is_shown_as_it_is(url: str):
    assert redacted_url(url) == url


def test_the_example_file_documents_every_setting_with_its_default(tmp_path: Path):
    text = EXAMPLE.read_text("utf-8")
    example = yaml.safe_load(text)
    paragraphs = {block.splitlines()[-1].partition(":")[0]: block for block in text.split("\n\n")}
    names = [field.name for field in dataclasses.fields(Settings)]
    defaults = Settings(home=tmp_path)

    assert list(example) == names, "each setting once, in the order of the dataclass"
    for name in names:
        default = NAMED_DEFAULTS.get(name)
        if default is None:
            assert example[name] == getattr(defaults, name)
            default = str(example[name])
        else:
            assert example[name] is None
        said = f"# Variable: DEPLOYENGINE_{name.upper()}    Default: {default}"
        assert said in paragraphs[name].splitlines()


def test_reading_the_example_file_is_reading_the_defaults(tmp_path: Path):
    assert Settings.read({}, tmp_path, EXAMPLE) == Settings.read({}, tmp_path)

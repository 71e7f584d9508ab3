"""The script that brings a package into use, in every shell and with every tool that is here."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from deployengine import steps
from deployengine.domain.insertion import Plain
from deployengine.domain.package import Package
from deployengine.domain.variables import key
from deployengine.packages.archives import repack
from deployengine.packages.configuration import (
    Configuration,
    ConfiguredFile,
    Wanted,
    configure,
)
from deployengine.packages.recipe import Installation, script
from tests.steps.disks import small_disk
from tests.support.packages import zip_of

TOOLS = Path(steps.__file__).parent / "tools"
BUSYBOX = shutil.which("busybox")
SHELLS = [s for s in ("sh", "bash", "dash") if shutil.which(s)] + (["busybox"] if BUSYBOX else [])
NOTES = "echo $0 in $DEPLOYENGINE_PACKAGE_VERSION >> ../../../../journal\n"
PLAIN = Configuration()


def fingerprint(text: str) -> str:
    return hashlib.sha256(b"key" + text.encode()).hexdigest()


@dataclass
class Target:
    """A machine's folders, and one shell with its tools."""

    folder: Path
    shell: str
    path: str = ""
    tickets: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.workdir = self.folder / "workdir"
        self.workdir.mkdir()
        self.path = self.path or os.environ["PATH"]
        if self.shell == "busybox":
            applets = self.folder / "applets"
            applets.mkdir()
            for name in ("sh", "tar", "gzip", "mv", "ln", "rm", "cat", "dd", "mkdir", "chmod"):
                (applets / name).symlink_to(str(BUSYBOX))
            for name in ("ls", "find", "grep", "cp", "tr", "sleep"):
                (applets / name).symlink_to(str(BUSYBOX))
            self.path = str(applets)

    @property
    def into(self) -> Path:
        return self.workdir / "packages/shop"

    @property
    def current(self) -> str:
        """The name of the folder in use."""
        return os.readlink(self.into / "current").removeprefix("releases/")

    @property
    def releases(self) -> list[str]:
        """The versions that are there, by name."""
        return sorted(path.name.partition("-")[0] for path in (self.into / "releases").iterdir())

    def journal(self) -> list[str]:
        path = self.workdir / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def packed(self, version: str, files: Mapping[str, str | bytes]) -> Package:
        """A package that has come to the machine."""
        source = zip_of(self.folder / f"shop.{version}.zip", files)
        store = self.folder / "tickets" / ".packages"
        store.mkdir(parents=True, exist_ok=True)
        digest = repack(source, source.name, self.folder / "archive")
        (self.folder / "archive").rename(store / digest)
        return Package("shop", version, "releases", source.name, 1, "0" * 64, digest)

    def text(self, package: Package, configuration: Configuration, keep: int) -> str:
        return script(Installation(package, configuration, "packages/shop", keep), fingerprint)

    def install(
        self, package: Package, configuration: Configuration = PLAIN, keep: int = 3
    ) -> subprocess.CompletedProcess[str]:
        ticket = self.folder / "tickets" / f"run-{next(self.tickets)}"
        ticket.mkdir(parents=True)
        (ticket / "variables").write_text("case $name in\nother) found=yes value=x ;;\nesac\n")
        (ticket / "script").write_bytes(
            self.text(package, configuration, keep).encode(errors="surrogateescape")
        )
        words = [str(BUSYBOX), "sh"] if self.shell == "busybox" else [self.shell]
        return subprocess.run(
            [*words, ticket / "script"],
            cwd=self.workdir,
            env={
                "PATH": f"{TOOLS}:{self.path}",
                "DEPLOYENGINE_TICKET_FOLDER": str(ticket),
                "DEPLOYENGINE_TICKET": ticket.name,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def deploy(self, version: str, **more: object) -> str:
        """Installs a version that only notes what runs; the name of its folder."""
        done = self.install(self.packed(version, scripts()), **more)  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr
        for path in (self.into / ".done").iterdir():  # a file system's clock may be coarse
            before = path.stat().st_mtime - 1
            os.utime(path, (before, before))
        return self.current


def scripts(**more: str) -> dict[str, str]:
    names = ("pre_deploy", "deploy", "post_deploy")
    return {**{f"{name}.sh": NOTES for name in names}, **more}


@pytest.fixture(params=SHELLS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    return Target(tmp_path, request.param)


@pytest.fixture
def plain(tmp_path: Path) -> Target:
    return Target(tmp_path, "sh")


def test_a_version_is_unpacked_switched_to_and_its_scripts_run_in_order(target: Target) -> None:
    package = target.packed("1.0", scripts(**{"web/index.html": "hello"}))
    done = target.install(package)
    assert (done.returncode, done.stderr) == (0, "")
    assert target.current == f"1.0-{package.digest[:8]}"
    assert (target.into / "current/web/index.html").read_text() == "hello"
    assert target.journal() == [f"./{n}.sh in 1.0" for n in ("pre_deploy", "deploy", "post_deploy")]


def test_the_next_one_takes_its_place_and_the_old_one_stays(target: Target) -> None:
    first, second = target.deploy("1.0"), target.deploy("1.1")
    assert target.current == second != first
    assert target.releases == ["1.0", "1.1"]


def test_the_way_back_unpacks_nothing(target: Target) -> None:
    first = target.deploy("1.0")
    package = target.packed("1.0", scripts())
    target.deploy("1.1")
    (target.into / "releases" / first / "mark").touch()
    (target.folder / "tickets/.packages" / package.digest).unlink()
    done = target.install(package)
    assert done.returncode == 0, done.stderr
    assert target.current == first
    assert (target.into / "current/mark").exists()
    assert "1.0 is in" in done.stdout
    assert target.journal()[-3:] == [
        f"./{n}.sh in 1.0" for n in ("pre_deploy", "deploy", "post_deploy")
    ]


def test_beyond_those_that_are_kept_the_oldest_go(target: Target) -> None:
    for version in ("1.0", "1.1", "1.2", "1.3"):
        target.deploy(version, keep=2)
    assert target.releases == ["1.1", "1.2", "1.3"]


def test_what_was_used_lately_is_kept_rather_than_what_is_new(target: Target) -> None:
    for version in ("1.0", "1.1", "1.0", "1.2", "1.3"):
        target.deploy(version, keep=2)
    assert target.releases == ["1.0", "1.2", "1.3"]


def test_the_previous_one_is_kept_even_if_it_was_never_finished(target: Target) -> None:
    target.deploy("1.0", keep=1)
    failed = target.install(target.packed("1.1", scripts(**{"deploy.sh": "exit 3\n"})), keep=1)
    assert failed.returncode == 3
    assert target.current.startswith("1.1-")
    target.deploy("1.2", keep=1)
    assert target.releases == ["1.0", "1.1", "1.2"]
    target.deploy("1.3", keep=1)
    assert target.releases == ["1.2", "1.3"]


def test_the_previous_one_is_kept_even_if_others_were_used_later(target: Target) -> None:
    """1.0 was gone back to and switched to, but its script failed: 1.1 is the last good one."""
    for version in ("1.0", "1.1"):
        target.deploy(version, keep=1)
    back = target.packed("1.0", scripts())
    (target.into / "releases" / f"1.0-{back.digest[:8]}" / "deploy.sh").write_text("exit 3\n")
    assert target.install(back, keep=1).returncode == 3
    assert target.current.startswith("1.0-")
    target.deploy("1.2", keep=1)
    assert target.releases == ["1.0", "1.1", "1.2"]
    assert "is in" in target.install(back, keep=1).stdout  # nothing was unpacked


@pytest.mark.parametrize("name", ["pre_deploy", "deploy", "post_deploy"])
def test_where_a_failed_script_leaves_what_is_in_use(name: str, target: Target) -> None:
    first = target.deploy("1.0")
    failed = target.install(target.packed("1.1", scripts(**{f"{name}.sh": "exit 7\n"})))
    assert failed.returncode == 7
    switched = name != "pre_deploy"
    assert target.current.startswith("1.1-" if switched else first)
    told = "it is in use already" if switched else f"{first} is still in use"
    assert failed.stderr == f"{name}.sh of shop 1.1 ended with 7; {told}\n"


def test_what_a_failed_attempt_left_is_unpacked_afresh(target: Target) -> None:
    target.deploy("1.0")
    broken = "[ ! -e touched ] || exit 9\n: > touched\n[ -e ../../../../mended ]\n"
    package = target.packed("1.1", scripts(**{"pre_deploy.sh": broken}))
    assert target.install(package).returncode == 1
    (target.workdir / "mended").touch()
    done = target.install(package)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_in_use_is_never_unpacked_over(target: Target) -> None:
    """Its ``deploy.sh`` failed after the switch: the next attempt goes on in the same folder."""
    package = target.packed("1.0", scripts(**{"deploy.sh": "[ -e ../../../../mended ]\n"}))
    assert target.install(package).returncode == 1
    (target.into / "current/in-use").touch()
    (target.workdir / "mended").touch()
    assert target.install(package).returncode == 0
    assert (target.into / "current/in-use").exists()


def test_what_was_left_half_unpacked_is_no_obstacle(target: Target) -> None:
    half = target.into / "releases/.new-run-77"
    half.mkdir(parents=True)
    (half / "x").touch()
    target.deploy("1.0")
    assert not half.exists()


def test_a_script_runs_by_its_first_line_or_in_sh(target: Target) -> None:
    program = "#!/usr/bin/env python3\nopen('made', 'w').write('by python')\n"
    if target.shell == "busybox":
        program = "#!/bin/sh\necho by sh > made\n"
    done = target.install(target.packed("1.0", {"deploy.sh": program}))
    assert (done.returncode, done.stderr) == (0, "")
    assert (target.into / "current/made").read_text().startswith("by ")


def test_the_names_of_octopus_are_known(target: Target) -> None:
    names = ("PreDeploy", "Deploy", "PostDeploy")
    done = target.install(target.packed("1.0", {f"{n}.sh": NOTES for n in names}))
    assert done.returncode == 0
    assert target.journal() == [f"./{name}.sh in 1.0" for name in names]


def test_a_package_needs_no_script_at_all(target: Target) -> None:
    assert target.install(target.packed("1.0", {"a": "b"})).returncode == 0
    assert (target.into / "current/a").read_text() == "b"


def test_outputs_say_where_it_is(target: Target) -> None:
    target.deploy("1.0")
    outputs = (target.folder / "tickets/run-1/outputs").read_bytes().split(b"\0")
    assert outputs[:4] == [
        b"Package.InstallationDirectoryPath",
        str(target.into / "releases" / target.current).encode(),
        b"Package.Version",
        b"1.0",
    ]


def test_a_script_of_the_package_finds_its_folder_by_the_name_that_octopus_gives_it(
    target: Target,
) -> None:
    line = "get_variable ' octopus.Action.Package.InstallationDirectoryPath' > found\n"
    done = target.install(target.packed("1.0", {"deploy.sh": line}))
    assert (done.returncode, done.stderr) == (0, "")
    home = target.into / "releases" / target.current
    assert (home / "found").read_text() == str(home)


# ---- files with values in them ----

CONTENTS = [
    b"",
    b"\n",
    b"no newline at the end",
    b"one line\n",
    b"two newlines\n\n",
    b"'quotes' \"and\" `code` $(touch evil) $HOME \\ \\n %s\n",
    b"EOF\n",
    bytes(range(1, 256)),
    "ünïcödé \u2028 \U0001f600 and \ufeff marks".encode(),
    b"\r\nwindows\r\n",
    b"long" * 60_000,
]


def test_every_content_comes_through_every_shell(target: Target) -> None:
    names = [f"f{n}" for n in range(len(CONTENTS))]
    files = tuple(ConfiguredFile(n, 0o640, c) for n, c in zip(names, CONTENTS, strict=True))
    package = target.packed("1.0", dict.fromkeys(names, "old"))
    done = target.install(package, Configuration(files))
    assert (done.returncode, done.stderr) == (0, "")
    for name, content in zip(names, CONTENTS, strict=True):
        path = target.into / "current" / name
        assert path.read_bytes() == content, name
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(path.name for path in (target.into / "current").iterdir()) == sorted(names)
    assert not (target.workdir / "evil").exists()


def test_other_values_are_another_folder_and_the_same_ones_the_same(target: Target) -> None:
    package = target.packed("1.0", {"app.json": '{"port": 1}'})
    seen = []
    for port in ("80", "81", "80"):
        wanted = Wanted(settings=["app.json"])
        archive = target.folder / "tickets/.packages" / package.digest
        values = {key("port"): Plain("port", port)}
        assert target.install(package, configure(archive, "shop", wanted, values)).returncode == 0
        assert (target.into / "current/app.json").read_text() == f'{{"port": {port}}}'
        seen.append(target.current)
    assert seen[0] == seen[2] != seen[1]


def test_no_value_can_be_guessed_from_the_name_of_its_folder(plain: Target) -> None:
    package = plain.packed("1.0", {"a": "b"})
    files = (ConfiguredFile("a", 0o644, b"s3cret"),)
    one = Installation(package, Configuration(files), "shop", 1)
    assert one.folder(fingerprint) != one.folder(lambda text: f"another key {text}")
    assert one.folder(fingerprint) == one.folder(fingerprint)


def test_patterns_that_no_file_matches_are_told(target: Target) -> None:
    configuration = Configuration(unmatched=("*.conf 'x'",))
    done = target.install(target.packed("1.0", {"a": "b"}), configuration)
    assert "no file of shop 1.0 matches *.conf 'x'\n" in done.stdout


# ---- what goes wrong ----


def test_a_package_that_is_not_there_is_told(target: Target) -> None:
    package = target.packed("1.0", {"a": "b"})
    (target.folder / "tickets/.packages" / package.digest).unlink()
    done = target.install(package)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "shop 1.0 is not on this machine" in done.stderr
    assert not os.path.lexists(target.into / "current")


def test_an_archive_that_was_damaged_since_is_not_used(target: Target) -> None:
    package = target.packed("1.0", {"a": os.urandom(300_000)})
    archive = target.folder / "tickets/.packages" / package.digest
    content = archive.read_bytes()
    archive.write_bytes(content[:-4] + b"XXXX")  # every byte of the tar comes, and a wrong sum
    done = target.install(package)
    assert done.returncode == 1
    assert "the archive of shop 1.0 was damaged on this machine and is removed" in done.stderr
    assert not archive.exists(), "so that a retry brings it again"
    assert list((target.into / "releases").iterdir()) == []


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "roomy").mkdir()
    target = Target(tmp_path / "roomy", "sh")
    package = target.packed("1.0", {"a": os.urandom(200_000)})
    with small_disk(tmp_path / "disk") as disk:
        target.workdir = disk
        done = target.install(package)
        assert done.returncode == 1
        assert "cannot unpack shop 1.0" in done.stderr
        assert "see that there is room" in done.stderr
        assert (target.folder / "tickets/.packages" / package.digest).exists()
        assert list((target.into / "releases").iterdir()) == []
        assert not os.path.lexists(target.into / "current")


def test_what_is_there_and_was_made_by_others_is_never_removed(target: Target) -> None:
    theirs = target.into / "releases/20240101"
    theirs.mkdir(parents=True)
    for version in ("1.0", "1.1", "1.2"):
        target.deploy(version, keep=0)
    assert theirs.exists()
    assert target.releases == ["1.1", "1.2", "20240101"]


def test_what_cannot_be_removed_is_never_unpacked_into(tmp_path: Path) -> None:
    """As what a script made that nobody may write in; root may, so here rm itself refuses."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "rm").write_text(
        f'#!/bin/sh\ncase $* in *releases/1.0-*) exit 1 ;; esac\nexec {shutil.which("rm")} "$@"\n'
    )
    (fake / "rm").chmod(0o755)
    target = Target(tmp_path, "sh", f"{fake}:{os.environ['PATH']}")
    package = target.packed("1.0", scripts(**{"pre_deploy.sh": "exit 1\n"}))
    target.install(package)
    done = target.install(package)
    assert done.returncode == 1
    assert "cannot remove what is left of" in done.stderr
    (fake / "rm").unlink()
    assert target.install(package).returncode == 1
    assert target.journal() == []


@pytest.mark.parametrize("name", ["pre_deploy", "deploy", "post_deploy"])
def test_a_script_with_windows_line_ends_is_told_before_anything_is_switched(
    name: str, target: Target
) -> None:
    first = target.deploy("1.0")
    script = "#!/bin/sh\r\necho hello\r\n"
    done = target.install(target.packed("1.1", scripts(**{f"{name}.sh": script})))
    assert done.returncode == 1
    assert f"{name}.sh of shop 1.1 has Windows line ends" in done.stderr
    assert target.current == first


def test_scripts_that_are_not_at_the_top_are_told(target: Target) -> None:
    done = target.install(target.packed("1.0", {"shop-1.0/deploy.sh": NOTES}))
    assert done.returncode == 0
    assert "shop-1.0/deploy.sh is not run: scripts must be at the top" in done.stdout
    assert target.journal() == []


def test_a_folder_in_the_place_of_the_link_is_left_alone(target: Target) -> None:
    (target.into / "current").mkdir(parents=True)
    done = target.install(target.packed("1.0", {"a": "b"}))
    assert done.returncode == 1
    assert "current is no link to a version" in done.stderr


@pytest.mark.parametrize("known", ["T", "h", ""])
def test_the_switch_works_with_every_mv(known: str, tmp_path: Path) -> None:
    """That of GNU and busybox knows -T, that of BSD -h, and some know neither."""
    fake = tmp_path / "bin"
    fake.mkdir()
    real = shutil.which("mv")
    (fake / "mv").write_text(
        "#!/bin/sh\ncase $1 in\n"
        f"  -fT) [ '{known}' = T ] || exit 64 ;;\n"
        f"  -fh) [ '{known}' = h ] || exit 64; shift; set -- -fT \"$@\" ;;\n"
        f'esac\necho "$*" >> {tmp_path}/moves\nexec {real} "$@"\n'
    )
    (fake / "mv").chmod(0o755)
    target = Target(tmp_path, "sh", f"{fake}:{os.environ['PATH']}")
    for version in ("1.0", "1.1"):
        target.deploy(version)
    assert target.current.startswith("1.1-")
    switches = [m for m in (tmp_path / "moves").read_text().splitlines() if "/.current-" in m]
    assert [m.split()[0] for m in switches] == ["-fT" if known else "-f"] * 2


def test_the_switch_leaves_no_moment_without_a_version(tmp_path: Path) -> None:
    target = Target(tmp_path, "sh")
    target.deploy("1.0")
    watch = subprocess.Popen(
        [
            "python3",
            "-c",
            "import os, sys\n"
            "print('ready', flush=True)\n"
            "while not os.path.exists(sys.argv[2]): os.stat(sys.argv[1])\n",
            str(target.into / "current/deploy.sh"),
            str(tmp_path / "over"),
        ],
        stdout=subprocess.PIPE,
    )
    assert watch.stdout is not None
    watch.stdout.readline()
    for version in ("1.1", "1.2", "1.0", "1.1"):
        target.deploy(version)
    (tmp_path / "over").touch()
    assert watch.wait(30) == 0
    watch.stdout.close()


# ---- archives on the machine ----


def aged(path: Path, hours: float) -> None:
    moment = time.time() - hours * 3600
    os.utime(path, (moment, moment))


def test_archives_of_versions_that_are_gone_go_when_nobody_uses_them(target: Target) -> None:
    store = target.folder / "tickets/.packages"
    kept: dict[str, str] = {}
    for version in ("1.0", "1.1", "1.2", "1.3"):
        kept[version] = target.packed(version, scripts()).digest
        target.deploy(version, keep=2)
    elsewhere = target.packed("9.0", {"a": "b"}).digest
    unused = target.packed("9.1", {"a": "c"}).digest
    gone = target.packed("9.3", {"a": "e"}).digest
    (store / "used/another-place").write_text(f"# {store}\n{elsewhere}\n")
    (store / "used/a-place-that-is-gone").write_text(f"# {store}/none\n{gone}\n")
    for digest in (*kept.values(), elsewhere, unused, gone):
        aged(store / digest, 25)
    lately = target.packed("9.2", {"a": "d"}).digest
    target.deploy("1.3", keep=2)
    there = {path.name for path in store.iterdir() if path.is_file()}
    assert there == {kept["1.1"], kept["1.2"], kept["1.3"], elsewhere, lately}


def test_no_secret_is_ever_among_the_arguments_of_a_process_or_open_to_others(
    plain: Target,
) -> None:
    """Whatever a shell runs is written down by stand-ins for all tools, with who may read it."""
    fake = plain.folder / "bin"
    fake.mkdir()
    for name in ("cat", "dd", "mv", "chmod", "cp", "rm", "printf", "tar", "mkdir", "ln"):
        real = shutil.which(name)
        (fake / name).write_text(
            f'#!/bin/sh\necho "{name} $*" >> {plain.folder}/ran\n'
            f'[ {name} != chmod ] || stat -c "%a was the mode" "$2" >> {plain.folder}/ran\n'
            f'exec {real} "$@"\n'
        )
        (fake / name).chmod(0o755)
    plain.path = f"{fake}:{plain.path}"
    files = (ConfiguredFile("a", 0o600, b"s3cret"), ConfiguredFile("b", 0o600, b"s3cret\n"))
    done = plain.install(plain.packed("1.0", {"a": "x", "b": "y"}), Configuration(files))
    assert done.returncode == 0, done.stderr
    ran = (plain.folder / "ran").read_text()
    assert "dd if=" in ran
    assert ran.count("600 was the mode") == ran.count("was the mode") == 2
    assert "s3cret" not in ran
    assert (plain.into / "current/a").read_bytes() == b"s3cret"

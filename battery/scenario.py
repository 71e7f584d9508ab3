"""What is deployed under fire: machines, projects, and scripts whose every line is known before.

The scripts keep their journals and stamps in the house's ``machines``, as ``benchmarks.evidence``
wants them, and not in their work folder, which may be a disk that is full. Beside ``begin`` and
``end`` there are two more words: a script that is told to end writes ``stopped``, and for one that
the battery kills the battery writes ``killed``. What a script writes into its work folder is a new
file each time: one that was there before would have its room on a disk that is full.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

STAGES: Mapping[str, tuple[str, ...]] = {
    "QA": ("qa-1",),
    "Staging": ("stg-1", "stg-2"),
    "Production": ("prod-1", "prod-2", "prod-3", "prod-4", "prod-5"),
}
#: The environment before the last one.
BEFORE_LAST = tuple(STAGES)[-2]
MACHINES = tuple(machine for machines in STAGES.values() for machine in machines)

#: Releases that each environment keeps: more than a round ever makes, so that nothing goes that the
#: judge would miss, while housekeeping looks for what may go.
KEPT = 1000

#: Projects whose scripts run for seconds, so that what kills hits them in the midst.
LONG = ("long-1", "long-2", "ask", "rerun")

#: Shared by at most so many scripts at once.
LIMITED: Mapping[str, int] = {"prod-3": 2}
#: Is reached by SSH.
BY_SSH = "stg-1"
#: Has its work folder on a disk of its own, which can be filled.
SMALL_DISK = "prod-4"
#: Has its tickets on such a disk.
SMALL_TICKETS = "prod-5"

#: Its work folder may be out of use for a while: see :func:`put`.
AWAY = "prod-1"
#: Nothing new comes to it for a while.
DRAINED = "prod-3"
#: Deployments of the first wait for a machine that cannot be used, those of the second go without.
PATIENT, LENIENT = "patient", "lenient"

#: The scripts of these fail in their first attempt on this machine, always, with this code.
SLIPS: Mapping[str, str] = {"again": "stg-2", "guided": "prod-2"}
SLIPPED = 3
#: Of this environment at most so many scripts run at once.
SHARES: Mapping[str, int] = {"Staging": 3}
#: This project is frozen in the first seconds of every minute.
FROZEN, FROZEN_SECONDS = "frozen", 5
#: This project's newest release is deployed to QA every minute, by a schedule of such a name.
OFTEN = "often"
SCHEDULES = ("minutely", "every-minute")
#: Releases of these do not wait for the one before to come to rest, and may overtake it; nor for
#: machines to catch up with it.
HASTY = ("hasty",)

#: Printed by scripts; must be found nowhere.
SECRET = "hunter2-do-not-print-me"
MASK = "********"

#: What a script ends with when its work folder has no room.
NO_ROOM = 97

SCRIPT = """\
keep="$BATTERY_MACHINES/$DEPLOYENGINE_MACHINE"
place="$DEPLOYENGINE_TICKET.place"
stamp() {
  : > "$keep/stamps/$DEPLOYENGINE_TICKET.$1"
  [ -s "$keep/stamps/$DEPLOYENGINE_TICKET.$1" ]
  echo > "$keep/stamps/$DEPLOYENGINE_TICKET.$1"
}
note() {
  echo "$1 $DEPLOYENGINE_TICKET $DEPLOYENGINE_PROJECT $DEPLOYENGINE_RELEASE \
$DEPLOYENGINE_ENVIRONMENT $DEPLOYENGINE_STEP $DEPLOYENGINE_ATTEMPT" >> "$keep/journal"
}
halt() {
  trap '' TERM
  note "$1"
  rm -f "$place"
  stamp end
  exit "$2"
}
told=
trap 'told=yes' TERM
stamp begin
note begin
trap 'halt stopped 143' TERM
[ -z "$told" ] || halt stopped 143
echo "#{Octopus.Project.Name} #{Octopus.Release.Number}" > "$place" || halt end 97
SAY
echo "begin of $DEPLOYENGINE_TICKET"
n=0
while read -r seconds; do
  n=$((n+1))
  echo "line $n of $DEPLOYENGINE_TICKET"
  sleep "$seconds"
done < "$keep/lengths/$DEPLOYENGINE_PROJECT"
echo "end of $DEPLOYENGINE_TICKET after $n"
halt end 0
"""
SAY_SECRET = 'echo "the password is #{Password}"'
SLIP = f'[ "$DEPLOYENGINE_MACHINE/$DEPLOYENGINE_ATTEMPT" != "{{}}/1" ] || halt end {SLIPPED}'


EACH_MINUTE = {"cron": "* * * * *"}
LASTS = f"{FROZEN_SECONDS}s"


def project_names() -> tuple[str, ...]:
    """All of them."""
    return tuple(project["name"] for project in projects())


def catalog(home: Path, *schedules: str, ssh: Mapping[str, Any]) -> str:
    """The catalog in YAML, with schedules of these names; ``ssh`` is the way to that machine."""
    connections = {BY_SSH: ssh}
    document = {
        "environments": [_environment(name) for name in STAGES],
        "machines": [
            _machine(name, stage, connections.get(name, {"workdir": str(home / "work" / name)}))
            for stage, names in STAGES.items()
            for name in names
        ],
        "lifecycles": [
            {
                "name": "auto",
                "phases": [{"name": s, "automatic": [s], "keep_releases": KEPT} for s in STAGES],
            }
        ],
        "projects": projects(),
        "freezes": [{"name": "breather", "projects": [FROZEN], **EACH_MINUTE, "lasts": LASTS}],
        "schedules": [
            {"name": name, "project": OFTEN, "environment": "QA", **EACH_MINUTE}
            for name in schedules
        ],
    }
    return yaml.safe_dump(document, sort_keys=False)


def furnish(home: Path, dice: random.Random, *, long_everywhere: bool = False) -> None:
    """Makes the machines' folders with the lengths of the scripts in them."""
    for machine in MACHINES:
        folder = home / "machines" / machine
        (folder / "stamps").mkdir(parents=True)
        (folder / "lengths").mkdir()
        for project in project_names():
            pieces = _pieces(project, machine, dice, long_everywhere)
            (folder / "lengths" / project).write_text("".join(f"{p:.3f}\n" for p in pieces))
    work = home / "work"
    (work / f"{AWAY}.there").mkdir(parents=True)
    (work / f"{AWAY}.gone").write_text("no folder")
    put(home, "there")


def put(home: Path, where: str) -> None:
    """Has the work folder of the machine that may be away be ``there``, or ``gone``; at once."""
    link, new = home / "work" / AWAY, home / "work" / f"{AWAY}.new"
    new.symlink_to(f"{AWAY}.{where}")
    new.replace(link)


def expected_output(home: Path, machine: str, project: str, ticket: str) -> list[str]:
    """Every line that a script which ran to its end has printed, as it should be on record."""
    lengths = (home / "machines" / machine / "lengths" / project).read_text().split()
    said = [f"the password is {MASK}"] if project.startswith("secret") else []
    lines = [f"line {n} of {ticket}" for n in range(1, len(lengths) + 1)]
    return [*said, f"begin of {ticket}", *lines, f"end of {ticket} after {len(lengths)}"]


def _pieces(project: str, machine: str, dice: random.Random, long_everywhere: bool) -> list[float]:
    """Long ones only where they do not keep a whole environment waiting."""
    total = dice.uniform(0.05, 0.4)
    if project in LONG and (machine != "qa-1" or long_everywhere):
        total = dice.uniform(1.5, 3.0)
    count = dice.randint(2, 6)
    return [total / count] * count


def _environment(name: str) -> dict[str, Any]:
    return {"name": name} | ({"share": SHARES[name]} if name in SHARES else {})


def _machine(name: str, stage: str, connection: Mapping[str, Any]) -> dict[str, Any]:
    machine: dict[str, Any] = {"name": name, "environments": [stage], "roles": ["web"]}
    machine["connection"] = dict(connection)
    if name in LIMITED:
        machine["max_concurrent"] = LIMITED[name]
    return machine


def projects() -> list[dict[str, Any]]:
    """All of them, as they stand in the catalog."""
    bypass = [{"name": "OctopusBypassDeploymentMutex", "value": "True"}]
    secret = [{"name": "Password", "value": SECRET, "sensitive": True}]
    billing = {"resource": "billing", "everywhere": True}
    plain = [_project(f"app-{n}", _step()) for n in range(1, 5)]
    return [
        *plain,
        _project("again", _step(say=_slip("again"), retries=2, backoff="0.3s")),
        _project("share-1", _step(), variables=bypass),
        _project("share-2", _step(), variables=bypass),
        _project("iis-1", _step(touches=["iis"])),
        _project("iis-2", _step(touches=["iis"], retries=1)),
        _project("billing-1", _step(touches=[billing])),
        _project("billing-2", _step(touches=[{**billing, "mode": "shared"}])),
        _project("twin-1", _step("Prepare"), _step("Install")),
        _project("twin-2", _step("Prepare", touches=["iis"]), _step("Install")),
        _project("secret", _step(say=SAY_SECRET), variables=secret),
        _project("long-1", _step(), variables=bypass),
        _project("long-2", _step(on_stale="terminate")),
        _project("ask", _step(on_unknown="ask")),
        _project("rerun", _step(on_unknown="rerun", idempotent=True)),
        _project("gate-1", _step("Prepare"), _manual("Agree"), _step("Install")),
        _project("gate-2", _step("Prepare"), _manual("Agree", keep_tag=True), _step("Install")),
        _project("roll", _rolling("Renew", _step("Drain", roles=None), _step(roles=None))),
        _project(
            "pair",
            _step("Left", touches=["left"]),
            _step("Right", touches=["right"], start="with_previous"),
        ),
        _project("guided", _step(say=_slip("guided")), guided_failure=True),
        _project("urgent", _step(), priority=1),
        _project("hasty", _step(), supersede=True),
        _project(PATIENT, _step("Prepare"), _step("Install"), unavailable_machines="wait"),
        _project(LENIENT, _step(), unavailable_machines="skip"),
        _project(FROZEN, _step()),
        _project(OFTEN, _step()),
    ]


def _project(name: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "lifecycle": "auto", "process": list(steps), **more}


def _step(
    name: str = "Install", say: str = "", roles: Sequence[str] | None = ("web",), **more: Any
) -> dict[str, Any]:
    """A script step; one in a group has no roles of its own."""
    lines = SCRIPT.replace("SAY\n", f"{say}\n" if say else "")
    return {"name": name, "script": lines, **({"roles": [*roles]} if roles else {}), **more}


def _manual(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "manual", "instructions": "Shall it go on?", **more}


def _rolling(name: str, *steps: dict[str, Any]) -> dict[str, Any]:
    own = {"roles": ["web"], "max_parallel": 2, "on_failure": "stop"}
    return {"name": name, "kind": "rolling", **own, "steps": list(steps)}


def _slip(project: str) -> str:
    return SLIP.format(SLIPS[project])

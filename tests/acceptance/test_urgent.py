"""Urgent deployments while a batch uses up the task cap, and that nobody starves by them."""

from __future__ import annotations

from typing import Any

from deployengine.engine.tickets import STRETCH
from deployengine.persistence.counters import TICKET
from tests.acceptance.catalogs import catalog, machine, project, step
from tests.acceptance.conftest import Say
from tests.support.engine import LiveEngine, until

BY_HAND = [
    {"name": "auto", "phases": [{"name": "QA", "automatic": ["QA"]}]},
    {"name": "by-hand", "phases": [{"name": "QA", "manual": ["QA"]}]},
]


def on(role: str, name: str, gate: str | None = None, **more: Any) -> dict[str, Any]:
    """A project that says when it begins, and waits at its gate, on the machines with the role."""
    script = 'echo "$DEPLOYENGINE_PROJECT" >> "$SCRATCH/order"\n'
    if gate is not None:
        script += f'read -r _ < "$SCRATCH/{gate}"\n'
    return project(name, process=[step(script, roles=[role])], **more)


def order(engine: LiveEngine) -> list[str]:
    """The projects in the order in which their scripts began, on whatever machine."""
    path = engine.scratch / "order"
    return path.read_text().split() if path.exists() else []


def deploy(say: Say, name: str, *more: str) -> None:
    assert say("release", "create", name, "1.0").code == 0
    assert say("release", "deploy", name, "1.0", "QA", *more).code == 0


def test_an_urgent_deployment_starts_within_one_scripts_duration_while_fifty_use_up_the_cap(
    running: LiveEngine, say: Say
) -> None:
    names = [f"batch-{n:02}" for n in range(1, 51)]
    gate = running.gate("batch")
    running.apply(
        catalog(
            *(on(f"r{n}", name, "batch") for n, name in enumerate(names)),
            on("r40", "fix", lifecycle="by-hand"),
            machines=[machine(f"m-{n}", "QA", roles=[f"r{n}"]) for n in range(50)],
            lifecycles=BY_HAND,
        )
    )
    running.batch(names, "fifty")
    until(lambda: len(order(running)) == 5, "the cap is used up")
    until(lambda: running.services.dispatcher.backlog().runs == 45, "dozens wait for a slot")
    assert names[40] not in order(running)

    deploy(say, "fix", "--priority", "1")
    running.await_line("machine:m-40", ["fix"], names[40])
    gate.open()
    until(lambda: "fix" in order(running), "it starts")

    assert order(running).index("fix") == 5, "it is the next one to start"
    gate.open(50)
    assert running.await_batch("fifty") == "succeeded"
    assert sorted(order(running)) == sorted([*names, "fix"])


def test_a_normal_run_is_overtaken_only_by_urgent_ones_drawn_within_the_stretch_nobody_starves(
    running: LiveEngine, say: Say
) -> None:
    (running.scratch / "order").unlink(missing_ok=True)
    gate = running.gate("stretch")
    first = ["fills-1", "fills-2", "fills-3", "fills-4", "fills-5"]
    lines = ("soon", "normal", "late")
    running.apply(
        catalog(
            *(on(name, name, "stretch", lifecycle="by-hand") for name in first),
            *(on("fills-1", f"{name}-in-line", lifecycle="by-hand") for name in lines),
            *(on(name, f"{name}-for-a-slot", lifecycle="by-hand") for name in lines),
            machines=[machine(f"m-{name}", "QA", roles=[name]) for name in (*first, *lines)],
            lifecycles=BY_HAND,
        )
    )
    for name in first:
        deploy(say, name)
    until(lambda: len(order(running)) == 5, "the cap is used up")

    def ask(name: str, *more: str) -> None:
        deploy(say, f"{name}-in-line", *more)
        deploy(say, f"{name}-for-a-slot", *more)
        running.await_line(f"machine:m-{name}", [f"{name}-for-a-slot"])
        until(lambda: f"{name}-in-line" in running.line("machine:m-fills-1")[1], "in line")

    ask("normal")
    ask("soon", "--priority", "1")
    with running.services.database.write() as tx:
        tx.counters.draw(TICKET, STRETCH)
    ask("late", "--priority", "1")

    wanted = [f"{name}-in-line" for name in lines]
    assert running.line("machine:m-fills-1") == (["fills-1"], wanted)
    gate.open(1)  # one slot is free, and takes one after the other
    slots = {f"{name}-for-a-slot" for name in lines}
    until(lambda: slots <= set(order(running)), "those who waited for a slot")
    gate.open(4)
    until(lambda: len(order(running)) == 11, "all have run")
    for kind in ("in-line", "for-a-slot"):
        assert [name for name in order(running) if name.endswith(kind)] == [
            f"{name}-{kind}" for name in lines
        ]

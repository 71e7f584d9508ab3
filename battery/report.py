"""A campaign as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from battery.campaign import Campaign
from battery.mutations import Finding

#: So many broken rules are told one by one.
TOLD = 40


def text(campaign: Campaign, complaints: Sequence[str]) -> str:
    """The whole report."""
    return "\n".join(_lines(campaign, complaints))


def finding(found: Finding) -> str:
    """A trial in a line, and the first harm."""
    document = found.document()
    word = "found" if found.good else "MISSED" if not found.found else "BROKEN WITH IT"
    line = f"{word:6}  {document['protection']:18} {document['seconds']:5.0f} s"
    line += f"  {document['against']}"
    harm = found.broken_with_it or found.found
    return f"{line}\n        {harm[0][:150]}" if harm else line


def _lines(campaign: Campaign, complaints: Sequence[str]) -> Iterator[str]:
    document = campaign.document()
    databases = ", ".join(f"{n} on {name}" for name, n in document["databases"].items())
    yield f"seed {campaign.seed}: {campaign.rounds} rounds ({databases}), {campaign.seconds:.0f} s"
    acts = campaign.acts.total()
    yield f"{campaign.releases} releases, {campaign.injected} faults, and {acts} lawful acts"
    yield ""
    yield from _table(document["faults"])
    for kind, why in campaign.not_injected.items():
        yield f"  NOT INJECTED  {kind}: {why}"
    for kind in campaign.not_mounted:
        yield f"  NOTHING IS PROVEN OF A {kind.upper()}: RUN THIS WHERE MOUNTING IS ALLOWED"
    yield "acts of people and of a supervisor, not counted as faults"
    yield from _table(document["acts"])
    yield ""
    for title, key in (("passed", "failpoints"), ("killed at", "failpoints_that_killed")):
        share = document[key]
        each = ", ".join(f"{name} {n}" for name, n in share.get("by_database", {}).items())
        missing = f"; missing: {', '.join(share['missing'])}" if share["missing"] else ""
        line = f"failpoints {title}: {share['reached']} of {share['of']}"
        yield line + (f" ({each})" if each else "") + missing
    yield ""
    yield "dangerous branches, and how often they were taken"
    marks = {
        name: f" (only with {', '.join(guards)} left out)"
        for name, guards in campaign.only_without.items()
    }
    yield from _table({name + marks.get(name, ""): n for name, n in document["branches"].items()})
    yield ""
    yield f"longest way to rest after the last fault: {campaign.longest_to_rest:.1f} s"
    yield f"rules broken: {len(campaign.violations)}"
    yield from (f"  {line}" for line in campaign.violations[:TOLD])
    yield "FAILED: " + "; ".join(complaints) if complaints else "all rules kept"


def _table(rows: dict[str, int]) -> Iterator[str]:
    for name, number in rows.items():
        yield f"  {number:6}  {name}"

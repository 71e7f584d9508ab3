"""The document as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def table(document: Mapping[str, Any]) -> str:
    """All figures as text."""
    return "\n".join(_lines(document))


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    host = ", ".join(f"{key} {value}" for key, value in document["host"].items())
    yield f"{host}; it took {document['took_s']} s"
    yield from ("", *_start(document["start"]))
    yield from ("", *_slots(document["slots"]))
    yield from ("", *_cpu(document["cpu"]))
    for lap in document["peers"]["laps"]:
        yield from ("", *_lap(lap))
    yield ""
    for peer in document["peers"]["peers"]:
        way = f", {peer['way']}" if peer["way"] else ""
        yield f"{peer['name']} {peer['version']}{way}: {peer['how']}"


def _start(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'start, ' + str(found['times']) + ' times, warm (ms)':48}{'p50':>8}{'p95':>8}"
    for kind, sample in found["ms"].items():
        yield f"  {kind:46}{sample['p50']:8.2f}{sample['p95']:8.2f}"
    over, allowed = found["over_plain_ms"], found["allowed_ms"]
    yield f"  ours over ssh host true: {over:+.2f} ms; wanted: {allowed:g} or less{_mark(found)}"


def _slots(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['inside']} scripts at once in one worker, watched for {found['watched_s']:g} s"
    yield f"  threads {found['threads']} (before {found['threads_before']})"
    yield f"  memory {found['memory_mib']} MiB (added {found['memory_added_mib']})"
    for name, percent in found["cpu_percent_of_a_core"].items():
        yield f"  CPU of {name}: {percent:g} % of a core"


def _cpu(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"{'CPU per step run, ' + str(found['runs']) + ' runs (ms)':34}"
        f"{'engine':>8}{'local scripts':>15}{'sshd, shells':>14}"
    )
    for kind in ("local", "ssh"):
        own = found[kind]
        processes = ", ".join(f"{name} {ms:g}" for name, ms in own["by_process"].items())
        yield (
            f"  {kind:32}{own['engine']:8.2f}{own['children']:15.2f}{own['machines']:14.2f}"
            f"   {processes}"
        )
    ratio, allowed = found["ssh_over_local"], found["allowed"]
    yield f"  the engine takes {ratio:g} × local; wanted: {allowed:g} or less{_mark(found)}"


def _lap(lap: Mapping[str, Any]) -> Iterator[str]:
    shortest, longest = lap["seconds_each"]
    seconds = f"{shortest:g} s" if shortest == longest else f"{shortest:g} to {longest:g} s"
    yield (
        f"{lap['scripts']} scripts × {lap['machines']} machines, {seconds} each; "
        f"one after the other the busiest machine's take {lap['busiest_machine_s']:g} s"
    )
    yield (
        f"  {'':18}{'runs':>6}{'wall s':>9}{'ms/run':>9}{'control ms':>12}{'machines ms':>13}"
        f"{'we take':>9}"
    )
    for entry in lap["entries"]:
        against = f"{entry['we_take']:.2f} ×" if "we_take" in entry else ""
        yield (
            f"  {entry['name']:18}{entry['runs']:6}{entry['wall_s']:9.2f}"
            f"{entry['wall_ms_per_run']:9.2f}{entry['controller_cpu_ms_per_run']:12.2f}"
            f"{entry['machines_cpu_ms_per_run']:13.2f}{against:>9}"
        )
    walls = " and ".join(f"{wall:g}" for wall in lap["entries"][0]["walls_s"])
    ahead = "ahead of each" if lap["ahead_of_all"] else "not ahead of each"
    yield f"  ours ran first and last: {walls} s; {ahead}"


def _mark(found: Mapping[str, Any]) -> str:
    return "" if found["reached"] else "  << missed"

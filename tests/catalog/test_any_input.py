"""Whatever stands in a file: it loads, or its faults are told; nothing else happens."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployengine.catalog import load
from deployengine.domain.errors import InvalidInput
from tests.catalog.conftest import FULL

WRONG = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        [
            "",
            "x",
            "#{",
            "#{A}",
            "a[1:2]",
            "a[",
            "QA",
            "../x",
            "\x01",
            "web",
            "True",
            "always",
            "manual",
            "rolling",
            "2026-12-20T00:00",
            "0 2 * * *",
            "9" * 5000,
        ]
    )
    | st.sampled_from([[], {}, [[]], [{}], {"name": "x"}, [{"name": "x"}], ["x", "x"], {"x": 1}])
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def test_the_catalog_that_is_spoilt_below_is_right(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(FULL, sort_keys=False))
    assert load([file]).items


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(places(FULL)[1:]), WRONG, st.booleans()), min_size=1))
def test_a_spoilt_catalog_loads_or_tells_faults_with_file_and_line(
    tmp_path: Path, spoilt: list[tuple[tuple[Any, ...], Any, bool]]
) -> None:
    document = copy.deepcopy(FULL)
    for (*path, last), wrong, misspelt in spoilt:
        holder = document
        try:
            for part in path:
                holder = holder[part]
            value = holder.pop(last)
            if misspelt and isinstance(holder, dict):
                holder[f"{last}x"] = value
            elif isinstance(holder, dict):
                holder[last] = wrong
            else:
                holder.insert(last, wrong)
        except (LookupError, TypeError, AttributeError):
            continue
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    try:
        load([file])
    except InvalidInput as error:
        told = error.faults
    else:
        return
    assert told
    assert all(fault.message and fault.file and fault.line for fault in told)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | st.text(alphabet="{}[]:-,&*!<>|#'\"\n a1~%@`", max_size=60).map(str.encode))
def test_any_bytes_load_or_tell_faults(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidInput):
        load([file])

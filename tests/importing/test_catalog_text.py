"""The YAML that is written says exactly what was meant."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deployengine.catalog import lines
from deployengine.importing.catalog_text import catalog_text
from deployengine.importing.report import Entry, Items

#: Any text but for halves of characters, which no file can hold.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
AWKWARD = st.sampled_from(
    [
        *("", " ", "~", "null", "True", "no", "1.10", "0x1F", "1e5", "a: b", "a #b", "- x", "why?"),
        *("'", '"', "{", "[a", "*a", "&a", "!x", "%x", "@x", "`x`", "|", ">", "#{A}", "a\nb\n"),
        *(" a\nb", "\n", "\n\na", "a\n\n\n", "a\tb", "\ta\n", "tail \nx", "a\r\nb", "\0"),
        *("\u2028", "\x85", "\ufeff", "? x"),
    ]
)
SCALARS = TEXTS | AWKWARD | st.integers(-5, 5) | st.booleans()


def read(text: str) -> Any:
    documents, faults, whole = lines.read(text.encode("utf-8"), "catalog.yaml")
    assert whole, faults
    assert not faults
    (document,) = documents
    return document.data


def noted(made: Entry | Items, notes: list[str]) -> Entry | Items:
    made.notes += notes
    return made


def items(inside: Any) -> Any:
    return st.builds(
        noted,
        st.builds(Items, st.lists(inside, min_size=1, max_size=3)),
        st.lists(TEXTS, max_size=2),
    )


def entries(inside: Any) -> Any:
    keys = st.sampled_from(["name", "script", "roles", "steps", "value"])
    made = st.dictionaries(keys, inside, min_size=1, max_size=4).map(lambda found: Entry(**found))
    return st.builds(noted, made, st.lists(TEXTS, max_size=2))


FLOW = st.lists(TEXTS | AWKWARD, min_size=1, max_size=3) | st.dictionaries(
    st.sampled_from(["label", "kind"]), SCALARS, min_size=1, max_size=2
)
CATALOGS = entries(items(entries(SCALARS | FLOW | items(entries(SCALARS | FLOW)))))


@given(catalog=CATALOGS, head=TEXTS)
def test_whatever_is_written_is_read_again_as_it_was(catalog: Entry, head: str) -> None:
    assert read(catalog_text(catalog, head)) == catalog


def test_notes_stand_above_what_they_are_about() -> None:
    step = Entry(name="Install", script="echo one\necho two\n")
    step.notes.append("a note of the step")
    steps = Items([step])
    steps.notes.append("a note\nof two lines about the list")
    project = Entry(name="Shop", process=steps)
    project.notes.append("a note of the project")
    catalog = Entry(projects=Items([project]))

    assert catalog_text(catalog, "The head.") == (
        "# The head.\n"
        "\n"
        "projects:\n"
        "  # a note of the project\n"
        "  - name: Shop\n"
        "    # a note\n"
        "    # of two lines about the list\n"
        "    process:\n"
        "      # a note of the step\n"
        "      - name: Install\n"
        "        script: |\n"
        "          echo one\n"
        "          echo two\n"
    )


def test_no_note_can_end_its_comment() -> None:
    entry = Entry(name="QA")
    entry.notes.append("fine\r\nprojects: []\x85machines: []\u2028lifecycles: []\x0cx: 1")
    catalog = Entry(environments=Items([entry]))

    assert read(catalog_text(catalog, "a\nb: c\x85d: e")) == {"environments": [{"name": "QA"}]}


def test_a_list_of_which_nothing_is_left_stays_as_an_empty_one_below_its_notes() -> None:
    variables = Items()
    variables.notes.append("variable Key: left out")
    catalog = Entry(projects=Items([Entry(name="Shop", variables=variables, include=[])]))

    text = catalog_text(catalog, "")

    assert "    # variable Key: left out\n    variables: []\n" in text
    assert "include" not in text

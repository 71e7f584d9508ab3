"""Feeds, and steps that bring packages into use."""

from __future__ import annotations

import pytest

from tests.catalog.conftest import SMALL, Faults, Read

HEAD = SMALL[: SMALL.index("      - name: Install")]
FEED = "{name: releases, url: feed}"
STEP = "{name: Web, kind: package, package: shop, feed: releases}"
SETS = "    variables: []\nproj"
SECRET = "    variables: [{name: Token, value: x, sensitive: true}, {name: Open, value: y}]\nproj"


def catalog(feed: str = FEED, *steps: str) -> str:
    process = "".join(f"      - {step}\n" for step in steps or (STEP,))
    return f"{HEAD}{process}feeds:\n  - {feed}\n".replace(SETS, SECRET)


def step(more: str) -> str:
    return STEP.replace("}", f", {more}}}", 1) if "{" not in more else f"{STEP[:-1]}, {more}}}"


def test_a_feed_and_a_package_step_are_stored_with_what_is_not_as_it_is_anyway(read: Read) -> None:
    found = read(catalog())
    assert found.of("feed")[0].document == {"name": "releases", "url": "feed"}
    assert found.of("project")[0].document["process"] == [
        {"name": "Web", "kind": "package", "package": "shop", "feed": "releases"}
    ]


def test_a_package_may_be_called_by_a_number(read: Read) -> None:
    found = read(catalog(FEED, STEP.replace("shop", "7")))
    assert found.of("project")[0].document["process"][0]["package"] == "7"


@pytest.mark.parametrize(
    ("feed", "path", "message"),
    [
        ("{name: r, url: 'https://bob:s3cret@host/x'}", "feeds[0].url", "a url holds no login"),
        ("{name: r, url: 'https://host/x?token=s3cret'}", "feeds[0].url", "no ? and no #"),
        ("{name: r, url: 'simplecache::https://bob:s3cret@host/x'}", "feeds[0].url", "one place"),
        ("{name: r, url: ~/packages}", "feeds[0].url", "say the whole path"),
        ("{name: r, url: 's3:/bucket/x'}", "feeds[0].url", "a url has // after"),
        ("{name: r, url: feed, pattern: '{name}.zip'}", "feeds[0].pattern", "{version}"),
        ("{name: r}", "feeds[0]", "'url' is missing"),
        ("{name: r, url: x, user: bob}", "feeds[0].user", "did you mean 'username'?"),
        ("{name: r, url: x, password: s3cret}", "feeds[0].password", "must be a mapping"),
        (
            "{name: r, url: x, password: {set: Shred, variable: Token}}",
            "feeds[0].password.set",
            "did you mean 'Shared'?",
        ),
        (
            "{name: r, url: x, password: {set: Shared, variable: Tokn}}",
            "feeds[0].password.variable",
            "did you mean 'Token'?",
        ),
        (
            "{name: r, url: x, password: {set: Shared, variable: Open}}",
            "feeds[0].password.variable",
            "is not sensitive",
        ),
    ],
)
def test_what_is_wrong_with_a_feed_is_told_and_no_secret_with_it(
    faults: Faults, feed: str, path: str, message: str
) -> None:
    found = faults(catalog(feed, "{name: A, script: ls}"))
    assert [fault.path for fault in found] == [path]
    assert message in found[0].message
    assert "s3cret" not in str(found)


PLACE = "projects[0].process[0]"


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("{name: Web, kind: package, package: shop}", PLACE, "'feed' is missing"),
        ("{name: Web, kind: package, feed: releases}", PLACE, "'package' is missing"),
        (step("script: ls"), f"{PLACE}.script", "a package step has no 'script'"),
        (step("runs_on: qa-1"), f"{PLACE}.runs_on", "a package step has no 'runs_on'"),
        ("{name: A, script: ls, package: shop}", f"{PLACE}.package", "a script step has no"),
        (STEP.replace("releases", "relases"), f"{PLACE}.feed", "did you mean 'releases'?"),
        (STEP.replace("shop", "../shop"), f"{PLACE}.package", "letters, digits"),
        (step("keep: 0"), f"{PLACE}.keep", "at least 1"),
        (step("into: ../x"), f"{PLACE}.into", "plain path"),
        (step("into: ~/x"), f"{PLACE}.into", "plain path"),
        (step("substitute: [./a.conf]"), f"{PLACE}.substitute[0]", "a path within the package"),
        (step("settings: ['config\\a.json']"), f"{PLACE}.settings[0]", "a path within the package"),
        (step("into: '#{Foldr}'"), f"{PLACE}.into", "there is no variable 'Foldr'"),
        (step("settings: [web.config]"), f"{PLACE}.settings[0]", "use substitute"),
        (step("settings: []"), f"{PLACE}.settings", "must not be empty"),
        (step("on_unknown: rerun"), f"{PLACE}.on_unknown", "idempotent"),
    ],
)
def test_what_is_wrong_with_a_package_step_is_told(
    faults: Faults, text: str, path: str, message: str
) -> None:
    found = faults(catalog(FEED, text))
    assert [fault.path for fault in found] == [path]
    assert message in found[0].message


@pytest.mark.parametrize(
    "pattern", ["appsettings.json", "config/*", "*.env", ".env.*", "**/*.y*ml"]
)
def test_patterns_of_files_that_may_be_configured_are_no_fault(read: Read, pattern: str) -> None:
    read(catalog(FEED, f"{STEP[:-1]}, settings: ['{pattern}']}}"))


def test_one_package_comes_from_one_feed(faults: Faults) -> None:
    other = STEP.replace("Web", "Api").replace("releases", "other")
    text = catalog(FEED, STEP, other) + "  - {name: other, url: x}\n"
    (fault,) = faults(text)
    assert fault.path == "projects[0].process[1].feed"
    assert "comes from feed 'releases' already (" in fault.message


def test_a_step_that_is_called_as_the_one_that_brings_a_package_is_a_fault(faults: Faults) -> None:
    (fault,) = faults(catalog(FEED, STEP, "{name: acquire shop, script: ls}"))
    assert fault.path == f"{PLACE}.package"
    assert "'Acquire shop', which brings the package, stands already" in fault.message


def test_two_feeds_of_one_name_are_a_fault(faults: Faults) -> None:
    (fault,) = faults(catalog() + "  - {name: Releases, url: x}\n")
    assert "feed 'Releases' stands already" in fault.message


def test_a_reference_to_the_package_of_a_step_leads_to_it(read: Read, faults: Faults) -> None:
    text = "{name: Say, script: 'echo \"#{Octopus.Action[Web].Package.PackageVersion}\"'}"
    read(catalog(FEED, STEP, text))
    (fault,) = faults(catalog(FEED, STEP, text.replace("[Web]", "[Wep]")))
    assert "Wep" in fault.message

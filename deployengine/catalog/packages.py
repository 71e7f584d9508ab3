"""Packages in a catalog: the feeds that they come from, and what a step says of the one it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from deployengine.catalog.connection import SecretReference
from deployengine.catalog.lines import Path
from deployengine.catalog.names import Name
from deployengine.catalog.node import Count, Node, Text
from deployengine.catalog.scalars import as_written
from deployengine.domain.acquisition import acquisition_name
from deployengine.domain.errors import Fault
from deployengine.domain.package_layout import (
    fault_of_pattern,
    is_package_name,
    settings_format,
)
from deployengine.domain.project import KEPT_VERSIONS

if TYPE_CHECKING:
    from deployengine.catalog.entries import Entries, Entry
    from deployengine.catalog.process import GroupStep, Step

_ENDING = re.compile(r"\.[^.*?/]+$")


def _package_name(name: str) -> str:
    name = name.strip()
    if not is_package_name(name):
        raise ValueError(f"the name {name!r} of a package may have letters, digits and . _ + -")
    return name


PackageName = Annotated[str, BeforeValidator(as_written), AfterValidator(_package_name)]
#: Patterns of file names within a package.
Patterns = Annotated[list[Text], Field(min_length=1)]


class Feed(Node):
    """Where packages are published."""

    name: Name = Field(examples=["releases"])
    url: Text = Field(
        min_length=1,
        description="A folder of the workers' hosts (a relative one starts at the engine's home), "
        "or file://, http://, https://, s3:// or any URL that fsspec knows. Without a login in it.",
        examples=["/srv/packages", "https://packages.example.com/releases", "s3://bucket/releases"],
    )
    pattern: Text = Field(
        default="",
        min_length=1,
        description="Where a package is in it, with {name} and {version}. Left out: "
        "NAME.VERSION.EXT or NAME-VERSION.EXT, or any one package in the folder NAME/VERSION.",
        examples=["{name}.{version}.zip", "{name}/{version}/{name}-{version}.tar.gz"],
    )
    username: Text = Field(
        default="", min_length=1, description="Who logs in; of S3 the access key's id."
    )
    password: SecretReference | None = Field(
        default=None, description="The password or token, as a secret; of S3 the secret key."
    )


class PackageUse(Node):
    """What a package step has beside what a script step has."""

    package: PackageName = Field(
        default="",
        min_length=1,
        description="The package that the step brings into use.",
        examples=["shop-web"],
    )
    feed: Name | None = Field(default=None, description="The feed that the package comes from.")
    substitute: Patterns = Field(
        default_factory=list,
        description="Files of the package in which #{Name} inserts a variable.",
        examples=[["*.conf", "web.config.template"]],
    )
    settings: Patterns = Field(
        default_factory=list,
        description="JSON, YAML, TOML and .env files of the package in which variables replace "
        "the values at their paths, as Logging:Level:Default does.",
        examples=[["appsettings.json", "config/*.yaml"]],
    )
    keep: Count = Field(
        default=KEPT_VERSIONS,
        description="How many versions before the one in use stay on each machine.",
    )
    into: Text = Field(
        default="",
        min_length=1,
        description="The folder for its versions and the link current. A relative one is within "
        "the workdir. Left out: packages/ and the package's name. #{Name} inserts a variable.",
        examples=["/opt/shop"],
    )


def unsound_feeds(entries: Entries) -> Iterator[Fault]:
    """Feeds that could not be asked."""
    for entry, feed in entries.of("feeds", Feed):
        parts = urlsplit(feed.url)
        if "::" in feed.url:
            yield entry.fault("it names one place; :: joins several, which no feed can be", "url")
        elif feed.url.startswith("~"):
            yield entry.fault("~ is nobody's home here; say the whole path", "url")
        elif re.match(r"[a-z][a-z0-9+.-]+:(?!//)", feed.url, re.IGNORECASE):
            yield entry.fault("a url has // after its first :", "url")
        elif "@" in parts.netloc:
            message = "a url holds no login, since it is shown; say username and password"
            yield entry.fault(message, "url")
        elif "://" in feed.url and (parts.query or parts.fragment):
            yield entry.fault("the url of a folder has no ? and no # in it", "url")
        elif not feed.url.isprintable():
            yield entry.fault("it has a character that can't be seen", "url")
        if feed.pattern and (fault := fault_of_pattern(feed.pattern)):
            yield entry.fault(fault, "pattern")


def unsound_packages(
    entry: Entry[Any], steps: Sequence[tuple[Step | GroupStep, Path]]
) -> Iterator[Fault]:
    """What a project's package steps lack or contradict."""
    feeds: dict[str, tuple[str | None, Path]] = {}
    for step, place in (each for each in steps if each[0].kind == "package"):
        if not entry.says(*place, "feed"):
            yield entry.fault("'feed' is missing, which a package step needs", *place)
        feed, first = feeds.setdefault(step.package, (step.feed, place))
        if step.package and step.feed and feed and step.feed != feed:
            where = entry.line(*first, "feed")
            yield entry.fault(
                f"package {step.package!r} comes from feed {feed!r} already ({where})",
                *place,
                "feed",
            )
        for key in ("substitute", "settings"):
            for index, pattern in enumerate(getattr(step, key)):
                if pattern.startswith(("/", "./")) or "\\" in pattern:
                    message = "a pattern is a path within the package: config/*.yaml, **/*.conf"
                    yield entry.fault(message, *place, key, index)
        for index, pattern in enumerate(step.settings):
            if _ENDING.search(pattern) and settings_format(pattern) is None:
                message = "settings go into .json, .yaml, .yml, .toml and .env files"
                yield entry.fault(
                    f"{message}; for others use substitute", *place, "settings", index
                )
        parts = step.into.split("/")
        if ".." in parts or parts[0].startswith("~") or not step.into.isprintable():
            yield entry.fault("it must be the plain path of a folder", *place, "into")


def acquisitions(steps: Sequence[tuple[Step | GroupStep, Path]]) -> Iterator[tuple[str, Path]]:
    """The names of the steps that bring the packages, with what they are made from."""
    first: dict[str, Path] = {}
    for step, place in steps:
        if step.kind == "package" and step.package:
            first.setdefault(step.package, place)
    for package, place in first.items():
        yield acquisition_name(package), (*place, "package")

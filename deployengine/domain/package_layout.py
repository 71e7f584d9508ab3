"""Where a feed has a package: by its own pattern, or as feeds commonly lay them out.

``NAME.VERSION.EXT`` or ``NAME-VERSION.EXT`` in the feed's folder, or any one file with such an
ending in ``NAME/VERSION``.
"""

from __future__ import annotations

import re

from deployengine.domain.package_versions import is_version

#: What can be read, the longest first.
EXTENSIONS = ("tar.bz2", "tar.gz", "tar.xz", "nupkg", "tar", "tgz", "zip")

#: Files that settings can be written into, by path; the ending says the format.
_SETTINGS = re.compile(
    r"\.(json|jsonc|yaml|yml|toml|env)$|(?:^|/)\.env(?:\.[^/]*)?$", re.IGNORECASE
)

_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._+-]{0,127}")
_FIELD = re.compile(r"\{([^{}]*)\}")


def is_package_name(name: str) -> bool:
    """Whether a package may be called so: letters, digits and ``. _ + -``."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def extension_of(file: str) -> str | None:
    """The ending that says how the file is packed; ``None``: none that can be read."""
    folded = file.casefold()
    return next((each for each in EXTENSIONS if folded.endswith(f".{each}")), None)


def version_of(file: str, name: str) -> str | None:
    """The version that a file of a package has in its name; ``None``: it is none of that package.

    Of ``shop`` the file ``shop-web-1.2.zip`` is none, since no version begins with a letter.
    """
    extension = extension_of(file)
    if extension is None or file[: len(name)].lower() != name.lower():
        return None
    rest = file[len(name) : -len(extension) - 1]
    version = rest[1:] if rest[:1] in (".", "-") else ""
    return version if is_version(version) else None


def fault_of_pattern(pattern: str) -> str | None:
    """What is wrong with a feed's pattern; ``None``: nothing."""
    names = _FIELD.findall(pattern)
    if strange := [name for name in names if name not in ("name", "version")]:
        return f"it knows {{name}} and {{version}}, not {{{strange[0]}}}"
    if "version" not in names:
        return "it must hold {version}"
    if pattern.startswith("/") or ".." in pattern.split("/") or "\\" in pattern:
        return "it is a path within the feed: no / before it, and no .. in it"
    if set("{}") & set(_FIELD.sub("", pattern)):
        return "it has a brace without its other half"
    if extension_of(pattern) is None:
        return f"it must end with one of {', '.join(f'.{each}' for each in sorted(EXTENSIONS))}"
    return None


def filled(pattern: str, name: str, version: str) -> str:
    """The path of one package by a pattern."""
    values = {"name": name, "version": version}
    return _FIELD.sub(lambda match: values[match[1]], pattern)


def version_by(pattern: str, name: str, text: str) -> str | None:
    """The version with which one part of a pattern comes to this text; ``None``: with none."""
    pieces: list[str] = []
    known = False
    for index, piece in enumerate(_FIELD.split(pattern)):
        if index % 2 == 0:
            pieces.append(re.escape(piece))
        elif piece == "name":
            pieces.append(re.escape(name))
        else:
            pieces.append("(?P=version)" if known else "(?P<version>.+?)")
            known = True
    match = re.fullmatch("".join(pieces), text)
    return match["version"] if match and is_version(match["version"]) else None


def settings_format(path: str) -> str | None:
    """The format of a file that settings are written into; ``None``: it has none that is known."""
    match = _SETTINGS.search(path)
    return (match[1] or "env").lower() if match else None

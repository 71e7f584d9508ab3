"""What can go wrong with packages. Each message says what, where, and what to do."""

from __future__ import annotations

from deployengine.domain.errors import RequestError


class PackageError(RequestError):
    """A package can't be had, or can't be used."""


class NoSuchPackage(PackageError):
    """The feed does not have it."""


class VersionsUnknown(PackageError):
    """The feed can't tell which versions there are, so somebody has to say which one is meant."""


class FeedUnreachable(PackageError):
    """The feed does not answer: an unknown host, a refused connection, a time-out."""


class LoginRefused(PackageError):
    """The feed wants a login, or another one."""


class HalfAFile(PackageError):
    """Less came of the package than there is."""


class PackageChanged(PackageError):
    """What the feed has under this version is not what the release has frozen."""


class BadArchive(PackageError):
    """The package is damaged, or holds what may not be unpacked on any machine."""


class TooLarge(BadArchive):
    """The package is beyond a limit."""


class NoRoom(PackageError):
    """The disk of the cache is full."""


class Unconfigurable(PackageError):
    """A value can't be written into a configuration file of the package."""


class MissingExtra(PackageError):
    """What this needs is not installed."""

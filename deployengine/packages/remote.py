"""Files of another host, by whichever driver of fsspec knows its kind of URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import fsspec
from fsspec.callbacks import Callback

from deployengine.packages.errors import (
    FeedUnreachable,
    LoginRefused,
    MissingExtra,
    NoSuchPackage,
    PackageError,
)
from deployengine.packages.store import FULL, Listed, Progress, check_whole

#: What a driver's error comes to, if it knows; its texts may hold what nobody should read.
Explain = Callable[[Exception, str], PackageError | None]

SEE_TO_LOGIN = "see to the feed's username and password in the catalog"

_S3 = ("s3", "s3a")
_STAMPS = ("ETag", "etag", "LastModified", "Last-Modified", "mtime", "last_modified", "modified")


@dataclass(frozen=True, slots=True)
class Login:
    """With what a feed lets one in, and how many seconds it may be silent."""

    username: str
    password: str = field(repr=False)
    patience: float


class RemoteStore:
    """A folder of a file system of fsspec; ``encoded``: its paths are URLs, ``%2B`` and all."""

    def __init__(
        self, url: str, driver: Any, explain: Explain | None = None, *, encoded: bool = False
    ) -> None:
        self._root = url.rstrip("/")
        self._driver = driver
        self._explain = explain
        self._encoded = encoded

    def list(self, folder: str) -> list[Listed] | None:
        where = self._at(folder)
        try:
            with self._faults(where):
                found = self._driver.ls(f"{where}/" if self._encoded else where, detail=True)
        except NoSuchPackage:
            return None
        return [self._listed(each) for each in found] or None

    def look(self, path: str) -> Listed:
        where = self._at(path)
        with self._faults(where):
            found = self._listed(self._driver.info(where))
        if found.is_folder:
            raise NoSuchPackage("there is no such file", where)
        return found

    def fetch(self, path: str, into: Path, progress: Progress) -> None:
        where = self._at(path)
        told = Callback(hooks={"progress": lambda size, done: progress(done, size)})
        with self._faults(where):
            self._driver.get_file(where, str(into), callback=told)
        check_whole(where, into.stat().st_size, told.size)

    def _at(self, path: str) -> str:
        return f"{self._root}/{quote(path) if self._encoded else path}".rstrip("/")

    def _listed(self, found: Mapping[str, Any]) -> Listed:
        path = str(found["name"])
        name = path.rstrip("/").rpartition("/")[2]
        stamp = next((str(found[key]) for key in _STAMPS if found.get(key)), None)
        is_folder = found.get("type") == "directory"
        return Listed(unquote(name) if self._encoded else name, is_folder, found.get("size"), stamp)

    @contextmanager
    def _faults(self, where: str) -> Iterator[None]:
        try:
            yield
        except PackageError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            raise self._known(error, where) or _unknown(error, where) from error

    def _known(self, error: Exception, where: str) -> PackageError | None:
        if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
            error = error.__cause__  # for this reason the driver found no file
        return self._explain(error, where) if self._explain else None


def open_store(url: str, login: Login) -> RemoteStore:
    """The folder at a URL; nothing is asked yet.

    Raises :class:`MissingExtra` for what is not installed.
    """
    protocol = urlsplit(url).scheme
    if protocol in ("http", "https"):
        from deployengine.packages.web import Web  # it brings a library that others do not need

        web = Web(login)
        return RemoteStore(url, web.driver, web.explain, encoded=True)
    try:
        driver = fsspec.filesystem(
            protocol,
            use_listings_cache=False,
            skip_instance_cache=True,
            **_options(protocol, login),
        )
    except ImportError as error:
        advice = "pip install s3fs" if protocol in _S3 else "install what fsspec wants for it"
        raise MissingExtra(f"no driver for {protocol}:// is installed", None, advice) from error
    except ValueError as error:
        advice = "write the feed's url with http://, https://, s3:// or what fsspec knows"
        raise MissingExtra(f"nothing is known that reads {protocol}://", url, advice) from error
    return RemoteStore(url, driver)


def _options(protocol: str, login: Login) -> Mapping[str, Any]:
    if protocol in _S3:
        config = {"connect_timeout": login.patience, "read_timeout": login.patience}
        keys = {"key": login.username, "secret": login.password} if login.username else {}
        return {"config_kwargs": config, **keys}
    return {"username": login.username, "password": login.password} if login.username else {}


def _unknown(error: Exception, where: str) -> PackageError:
    if isinstance(error, FileNotFoundError):
        return NoSuchPackage("the feed has no such file", where)
    if isinstance(error, PermissionError):
        return LoginRefused("the feed refused the login", where, SEE_TO_LOGIN)
    kind = type(error).__name__
    if isinstance(error, TimeoutError) or "Timeout" in kind:
        return FeedUnreachable("the feed did not answer in time", where)
    return FeedUnreachable(f"the feed can't be read ({kind})", where, "see to its url and login")

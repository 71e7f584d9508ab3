"""Feeds on web servers."""

from __future__ import annotations

import base64
import socket
from http import HTTPStatus
from typing import Any

from deployengine.packages.errors import (
    FeedUnreachable,
    HalfAFile,
    LoginRefused,
    MissingExtra,
    NoSuchPackage,
    PackageError,
)
from deployengine.packages.remote import SEE_TO_LOGIN, Login
from deployengine.packages.store import AGAIN

try:
    import aiohttp
    from fsspec.implementations.http import HTTPFileSystem
except ImportError as error:
    raise MissingExtra(
        "feeds on web servers need aiohttp", None, "pip install 'deployengine[packages]'"
    ) from error

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class Web:
    """Web servers, with one login."""

    def __init__(self, login: Login) -> None:
        self._patience = login.patience
        self.driver: Any = _driver(login)

    def explain(self, error: Exception, where: str) -> PackageError | None:
        """What went wrong, by what is known of it and never by its text."""
        if isinstance(error, aiohttp.ClientResponseError):
            return _by_status(error.status, where)
        if isinstance(error, aiohttp.ServerTimeoutError | TimeoutError):
            message = f"the feed did not answer or stopped sending for {self._patience:g} s"
            return FeedUnreachable(message, where, AGAIN)
        if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
            return _cut(where)
        if isinstance(error, aiohttp.ClientSSLError):
            return FeedUnreachable("its certificate is not trusted", where, "see to it")
        if isinstance(error, aiohttp.ClientConnectorError):
            return _no_connection(error, where)
        if isinstance(error, aiohttp.InvalidURL):
            return FeedUnreachable("this is no URL that can be asked", where)
        if isinstance(error, aiohttp.ClientOSError | ConnectionError):
            return _cut(where)
        return None


def _driver(login: Login) -> Any:
    """The file system of one login. Bytes come as they lie there, never unpacked on the way."""
    seconds = login.patience
    headers = {"Accept-Encoding": "identity"}
    if login.username or login.password:
        said = base64.b64encode(f"{login.username}:{login.password}".encode())
        headers["Authorization"] = f"Basic {said.decode()}"  # not sent on to another host
    options: dict[str, Any] = {
        "timeout": aiohttp.ClientTimeout(
            total=None, connect=seconds, sock_connect=seconds, sock_read=seconds
        ),
        "headers": headers,
        "auto_decompress": False,
        "trust_env": True,  # the proxy that this host uses
    }
    return HTTPFileSystem(
        simple_links=False,
        client_kwargs=options,
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def _by_status(status: int, where: str) -> PackageError:
    if status in _REFUSED:
        return LoginRefused(f"the feed refused the login ({status})", where, SEE_TO_LOGIN)
    if status in _GONE:
        return NoSuchPackage(f"the feed has no such file ({status})", where)
    return FeedUnreachable(f"the feed answered {status}", where, "try again, or see to the feed")


def _cut(where: str) -> PackageError:
    return HalfAFile("the connection broke before the whole package had come", where, AGAIN)


def _no_connection(error: aiohttp.ClientConnectorError, where: str) -> PackageError:
    if isinstance(error.os_error, socket.gaierror):
        return FeedUnreachable(f"there is no host {error.host}", where, "see to the feed's url")
    reason = error.os_error.strerror or "no connection"
    return FeedUnreachable(f"the feed can't be reached: {reason}", where, "see whether it is up")

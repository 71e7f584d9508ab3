"""The filter that takes an address apart."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from deployengine.domain.errors import did_you_mean, nearest
from deployengine.domain.filters.contract import BadOption, Change, Filter, Unfit, yes_or_no

_PORTS = {"ftp": 21, "http": 80, "https": 443, "ldap": 389, "ws": 80, "wss": 443}


def _uri_part(part: str) -> Change:
    names = {name.casefold(): name for name in _PARTS}
    if part.casefold() not in names:
        advice = did_you_mean(nearest(part, _PARTS)) or f"there are {', '.join(_PARTS)}"
        raise BadOption(f"there is no part {part!r}; {advice}")
    name = names[part.casefold()]

    def take(text: str) -> str:
        try:
            split = urlsplit(text)
            split.port  # noqa: B018  raises where it is none
        except ValueError:
            raise Unfit("it is no address") from None
        if not split.scheme and name != "IsAbsoluteUri":
            raise Unfit("it is no whole address: it names no scheme such as https")
        return _PARTS[name](split)

    return take


def _host(uri: SplitResult) -> str:
    host = uri.hostname or ""
    return f"[{host}]" if ":" in host else host


def _port(uri: SplitResult) -> int:
    return _PORTS.get(uri.scheme, -1) if uri.port is None else uri.port


def _default_port(uri: SplitResult) -> bool:
    return _port(uri) == _PORTS.get(uri.scheme, -1)


def _authority(uri: SplitResult) -> str:
    return _host(uri) if _default_port(uri) else f"{_host(uri)}:{uri.port}"


def _path(uri: SplitResult) -> str:
    return uri.path or ("/" if uri.netloc else "")


def _query(uri: SplitResult) -> str:
    return f"?{uri.query}" if uri.query else ""


def _user_info(uri: SplitResult) -> str:
    return uri.netloc.rpartition("@")[0]


def _whole(uri: SplitResult) -> str:
    user = _user_info(uri)
    authority = f"{user}@{_authority(uri)}" if user else _authority(uri)
    return urlunsplit((uri.scheme, authority, _path(uri), uri.query, uri.fragment))


def _host_kind(uri: SplitResult) -> str:
    if not uri.hostname:
        return "Basic"
    try:
        return f"IPv{ipaddress.ip_address(uri.hostname).version}"
    except ValueError:
        return "Dns"


def _loopback(uri: SplitResult) -> bool:
    try:
        return ipaddress.ip_address(uri.hostname or "").is_loopback
    except ValueError:
        return uri.hostname == "localhost"


_PARTS: dict[str, Callable[[SplitResult], str]] = {
    "AbsolutePath": _path,
    "AbsoluteUri": _whole,
    "Authority": _authority,
    "DnsSafeHost": lambda uri: uri.hostname or "",
    "Fragment": lambda uri: f"#{uri.fragment}" if uri.fragment else "",
    "Host": _host,
    "HostAndPort": lambda uri: f"{_host(uri)}:{_port(uri)}",
    "HostNameType": _host_kind,
    "IsAbsoluteUri": lambda uri: yes_or_no(bool(uri.scheme)),
    "IsDefaultPort": lambda uri: yes_or_no(_default_port(uri)),
    "IsFile": lambda uri: yes_or_no(uri.scheme == "file"),
    "IsLoopback": lambda uri: yes_or_no(_loopback(uri)),
    "IsUnc": lambda uri: yes_or_no(uri.scheme == "file" and bool(uri.hostname)),
    "Path": lambda uri: unquote(_path(uri)),
    "PathAndQuery": lambda uri: _path(uri) + _query(uri),
    "Port": lambda uri: str(_port(uri)),
    "Query": _query,
    "Scheme": lambda uri: uri.scheme,
    "SchemeAndServer": lambda uri: f"{uri.scheme}://{_authority(uri)}",
    "UserInfo": _user_info,
}

FILTERS = (Filter("UriPart", "PART", _uri_part),)

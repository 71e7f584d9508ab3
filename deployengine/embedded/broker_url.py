"""One Redis, two spellings: redis-py's URL and kombu's."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit


def broker_url(redis_url: str) -> str:
    """Kombu's form of a redis-py URL.

    ``unix://[user@]/path?db=0&password=p`` becomes ``redis+socket://…/path?virtual_host=0``:
    kombu takes the database from ``virtual_host`` there and the password from before the path.
    ``redis://`` and ``rediss://`` pass through, but for two things that kombu reads otherwise: the
    database goes into the path, and ``rediss://`` asks for a checked certificate unless it says
    itself what it wants, because kombu's own default is not to check.
    """
    parts = urlsplit(redis_url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme == "unix":
        return _over_a_socket(parts.netloc, parts.path, query)
    path = f"/{query.pop('db')}" if "db" in query else parts.path
    if parts.scheme == "rediss":
        query.setdefault("ssl_cert_reqs", "required")
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(query), ""))


def _over_a_socket(userinfo: str, path: str, query: dict[str, str]) -> str:
    user, _, password = userinfo.removesuffix("@").partition(":")
    secret = quote(query.get("password") or unquote(password), safe="")
    login = f"{user}:{secret}@" if user or secret else ""
    return f"redis+socket://{login}{path}?virtual_host={query.get('db', '0')}"

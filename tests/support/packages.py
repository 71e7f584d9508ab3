"""Packages for tests: real archives, honest ones and others, and a web server that has them."""

from __future__ import annotations

import base64
import io
import queue
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

#: When everything in these packages was last changed.
TIME = (2024, 5, 6, 7, 8, 10)


def zip_of(
    path: Path,
    files: Mapping[str, bytes | str],
    modes: Mapping[str, int] = {},
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """A zip file with these files; ``modes`` are whole Unix modes, kind of file included."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, TIME)
            info.create_system = 3
            info.external_attr = modes.get(name, 0o100644) << 16
            archive.writestr(info, content, compression)
    return path


def tar_of(path: Path, files: Mapping[str, bytes | str], modes: Mapping[str, int] = {}) -> Path:
    """A tar file with these files, packed as its name says."""
    members = [
        member(name, content, mode=modes.get(name, 0o644)) for name, content in files.items()
    ]
    return tar_with(path, members)


def member(
    name: str, content: bytes | str = b"", type: bytes = tarfile.REGTYPE, **more: Any
) -> tuple[tarfile.TarInfo, bytes]:
    """One entry of a tar file, be it ever so wicked."""
    raw = content.encode() if isinstance(content, str) else content
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mtime = type, len(raw), 1_714_979_290
    for key, value in more.items():
        setattr(info, key, value)
    return info, raw


def tar_with(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """A tar file with these entries, packed as its name says."""
    packing = {"gz": "gz", "tgz": "gz", "bz2": "bz2", "xz": "xz"}.get(path.name.split(".")[-1], "")
    with tarfile.open(path, f"w:{packing}", format=tarfile.GNU_FORMAT) as archive:
        for info, raw in members:
            archive.addfile(info, io.BytesIO(raw))
    return path


class WebFeed:
    """A real web server over a folder, which misbehaves for the paths that it is told.

    ``asked`` counts the requests for each path; ``login`` is what it wants of everybody.
    """

    def __init__(self, folder: Path, login: tuple[str, str] | None = None) -> None:
        self.folder = folder
        self.login = login
        #: What a path answers with in the place of its file, by its name.
        self.instead: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: dict[tuple[str, str], int] = {}
        #: The logins that came, in order.
        self.logins: list[str | None] = []
        self.lists = True
        self._lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        #: Whoever stalls goes on when this is set.
        self.over = threading.Event()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/feed"

    def fetched(self, file: str) -> int:
        """How often the whole of a file was asked for."""
        return self.asked.get(("GET", file), 0)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.over.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def half(self, handler: BaseHTTPRequestHandler) -> None:
        """Promises a whole file, sends half of it, and hangs up."""
        content = (self.folder / handler.path.rpartition("/")[2]).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(content[: len(content) // 2])
        handler.close_connection = True

    def stalled(self, handler: BaseHTTPRequestHandler) -> None:
        """Sends some of a file, and then nothing more without hanging up."""
        self.half(handler)
        handler.wfile.flush()
        self.over.wait(60)

    def endless(self, file: str, most: int) -> queue.Queue[int]:
        """Sends a file without saying how long it is; how many megabytes somebody took, at most."""
        sent: queue.Queue[int] = queue.Queue()

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            handler.close_connection = True
            if handler.command != "GET":
                return
            pieces = 0
            with suppress(OSError):  # somebody hung up
                while pieces < most:
                    handler.wfile.write(bytes(1 << 20))
                    pieces += 1
            sent.put(pieces)

        self.instead[file] = answer
        return sent

    def status(self, code: int) -> Callable[[BaseHTTPRequestHandler], None]:
        """Answers with this status."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(code)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return answer

    def elsewhere(self, url: str) -> Callable[[BaseHTTPRequestHandler], None]:
        """Sends whoever asks to another server."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", url)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return answer

    def slow(self, seconds: float) -> Callable[[BaseHTTPRequestHandler], None]:
        """Takes its time before it answers as it should."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            time.sleep(seconds)
            self.serve(handler)

        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        feed = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                name = unquote(self.path).rpartition("/")[2]
                with feed._lock:
                    key = (self.command, name)
                    feed.asked[key] = feed.asked.get(key, 0) + 1
                    feed.logins.append(self.headers.get("Authorization"))
                feed._answer(self, name)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, name: str) -> None:
        if self.login is not None:
            wanted = base64.b64encode(":".join(self.login).encode()).decode()
            if handler.headers.get("Authorization") != f"Basic {wanted}":
                self.status(401)(handler)
                return
        self.instead.get(name, self.serve)(handler)

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answers as a server should."""
        path = self.folder / unquote(handler.path).removeprefix("/feed").strip("/")
        if path.is_dir() and self.lists:
            names = (f"{each.name}/" if each.is_dir() else each.name for each in path.iterdir())
            links = "".join(f'<a href="{quote(name)}">{name}</a>\n' for name in names)
            self._send(handler, f"<html>{links}</html>".encode(), "text/html")
        elif path.is_file():
            stamp = f'"{path.stat().st_mtime_ns:x}-{path.stat().st_size:x}"'
            self._send(handler, path.read_bytes(), "application/octet-stream", stamp)
        else:
            self.status(404)(handler)

    def _send(
        self, handler: BaseHTTPRequestHandler, content: bytes, kind: str, stamp: str = ""
    ) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(content)))
        if stamp:
            handler.send_header("ETag", stamp)
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(content)

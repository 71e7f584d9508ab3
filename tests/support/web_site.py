"""A web site on loopback for tests: it answers as it is told, request after request."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Reply:
    """What the site answers; ``length`` may promise more than the body has."""

    status: int = 200
    body: str = "hello\n"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    #: Nothing is answered before the site ends.
    never: bool = False


class WebSite:
    """Answers with its replies in turn, and with the last one from then on."""

    def __init__(self) -> None:
        self.replies = [Reply()]
        self.asked: list[Asked] = []
        self.port = 0
        self.scheme = "http"
        self.over = threading.Event()
        self._lock = threading.Lock()

    def url(self, path: str = "/health") -> str:
        """An address there."""
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def take(self, asked: Asked) -> Reply:
        """Notes a request; what to say to it."""
        with self._lock:
            self.asked.append(asked)
            return self.replies[min(len(self.asked), len(self.replies)) - 1]


@contextmanager
def web_site(certificate: Path | None = None) -> Iterator[WebSite]:
    """A site that ends with the block; with a certificate and its key it speaks TLS."""
    site = WebSite()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, dict(self.headers), body.decode())
            reply = site.take(asked)
            if reply.never:
                site.over.wait()
                self.close_connection = True
                return
            content = reply.body.encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            length = len(content) if reply.length is None else reply.length
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            if length != len(content):
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Who hangs up in the middle is no news here."""

    with Server(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_port
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            context.set_ciphers("ALL:@SECLEVEL=0")  # busybox speaks an older TLS
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            site.scheme = "https"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield site
        finally:
            site.over.set()
            server.shutdown()


def self_signed(path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key, in one file."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path

"""Thirty back ends are replaced behind a real nginx, and no request fails meanwhile."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.catalogs import catalog
from tests.support.engine import LiveEngine, until
from tests.support.fleet import Target, fleet
from tests.support.sshd import free_port, tool

BACK_ENDS = 30

#: Takes a back end out of service or puts it back, and returns when nginx does nothing else any
#: more: the workers that know the former list have ended, with every request that they had.
SWITCH = """
cd {folder}
workers=$(pgrep -P "$(cat nginx.pid)")
{change}
cat {folder}/servers/* > upstream.conf
{nginx} -c {folder}/nginx.conf -p {folder} -s reload
for each in $workers; do
  while kill -0 "$each" 2> /dev/null; do sleep 0.02; done
done
"""
CHANGE = """
name=#{Octopus.Machine.Name}
echo "server 127.0.0.1:$(cat ports/$name)@;" > servers/$name
"""
OUT, IN = CHANGE.replace("@", " down"), CHANGE.replace("@", "")

#: A back end in its new version: the old one ends, then it begins, and is awaited.
REPLACE = """
port=$(cat port) version=#{Octopus.Release.Number}
kill "$(cat pid)"
while kill -0 "$(cat pid)" 2> /dev/null; do sleep 0.02; done
mkdir www-$version
echo $version > www-$version/version
setsid busybox httpd -f -p 127.0.0.1:$port -h www-$version < /dev/null > /dev/null 2>&1 &
echo $! > pid
until [ "$(busybox wget -q -O - http://127.0.0.1:$port/version)" = $version ]; do sleep 0.02; done
"""


@dataclass
class Load:
    """Requests from several clients, two hundred a second each at most, and what came of them."""

    port: int
    answers: Counter[str] = field(default_factory=Counter)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self, clients: int = 3) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask_on) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def ask(self) -> str:
        """The version that answers, or what went wrong."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/version", headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read().decode().strip()
            return body if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()

    def _ask_on(self) -> None:
        while not self._over.wait(0.005):
            said = self.ask()
            with self._lock:
                self.answers[said] += 1


@dataclass(frozen=True)
class Balancer:
    """An nginx in a folder of its own."""

    folder: Path
    port: int


@contextmanager
def nginx(back_ends: list[tuple[str, int]]) -> Iterator[Balancer]:
    folder = Path(tempfile.mkdtemp(prefix="nginx-"))
    port = free_port()
    for name in ("servers", "ports", "logs"):
        (folder / name).mkdir()
    for name, back_end in back_ends:
        (folder / "ports" / name).write_text(str(back_end))
        (folder / "servers" / name).write_text(f"server 127.0.0.1:{back_end};\n")
    servers = "".join((folder / "servers" / name).read_text() for name, _ in back_ends)
    (folder / "upstream.conf").write_text(servers)
    (folder / "nginx.conf").write_text(
        f"""
        pid {folder}/nginx.pid;
        error_log {folder}/logs/error.log;
        worker_processes 1;
        events {{ worker_connections 256; }}
        http {{
          access_log off;
          client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
          fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
          scgi_temp_path {folder}/scgi;
          upstream app {{ include {folder}/upstream.conf; }}
          server {{
            listen 127.0.0.1:{port};
            # What a back end does not answer is a failed request, and no other one is asked.
            location / {{ proxy_pass http://app; proxy_next_upstream off; }}
          }}
        }}
        """
    )
    process = subprocess.Popen(
        [tool("nginx"), "-c", str(folder / "nginx.conf"), "-p", str(folder), "-g", "daemon off;"],
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: (folder / "nginx.pid").exists(), "nginx has begun")
        yield Balancer(folder, port)
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _serve(folder: Path, port: int) -> None:
    """A back end in its first version."""
    (folder / "www-1.0").mkdir(parents=True)
    (folder / "www-1.0" / "version").write_text("1.0")
    (folder / "port").write_text(str(port))
    server = [tool("busybox"), "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", "www-1.0"]
    process = subprocess.Popen(server, cwd=folder, start_new_session=True)
    (folder / "pid").write_text(str(process.pid))
    threading.Thread(target=process.wait, daemon=True).start()  # it is buried when it is replaced


@pytest.fixture
def scene() -> Iterator[tuple[list[Target], Balancer]]:
    """Thirty machines with the port of a back end each, a machine "lb", and nginx there."""
    tool("busybox"), tool("pgrep")
    names = [f"web-{n:02}" for n in range(1, BACK_ENDS + 1)]
    with ExitStack() as stack:
        targets = stack.enter_context(fleet([*names, "lb"]))
        ports = [(name, free_port()) for name in names]
        for target, (_, port) in zip(targets, ports, strict=False):
            _serve(target.workdir, port)
        yield targets, stack.enter_context(nginx(ports))
        for target in targets:
            if (target.workdir / "pid").exists():
                subprocess.run(["kill", (target.workdir / "pid").read_text().strip()], check=False)


def test_a_load_generator_sees_no_failed_request_while_thirty_back_ends_are_replaced(
    engine: LiveEngine, scene: tuple[list[Target], Balancer]
) -> None:
    targets, balancer = scene
    switch = {"folder": balancer.folder, "nginx": tool("nginx")}
    group = {
        "name": "Roll out",
        "kind": "rolling",
        "roles": ["web"],
        "ramp": [1, 5],
        "max_parallel": 8,
        "before": {"script": SWITCH.format(change=OUT, **switch), "runs_on": "lb"},
        "after": {"script": SWITCH.format(change=IN, **switch), "runs_on": "lb"},
        "steps": [{"name": "Replace", "script": REPLACE}],
    }
    machines = [target.machine("QA") for target in targets]
    machines[-1] |= {"roles": ["lb"], "environments": ["Elsewhere"]}
    engine.apply(
        catalog(
            {"name": "app", "lifecycle": "auto", "process": [group]},
            environments=["QA", "Elsewhere"],
            machines=machines,
        )
    )
    engine.worker(task_cap=8)
    load = Load(balancer.port)
    with load.running():
        until(lambda: load.answers["1.0"] > 20, "the old version answers")
        (created,) = engine.create("app", version="2.0")
        state = engine.await_end(created.id, timeout=150)
        assert state == "succeeded"
        until(lambda: load.answers["2.0"] > 20, "the new version answers")
    assert set(load.answers) == {"1.0", "2.0"}, load.answers
    assert {load.ask() for _ in range(2 * BACK_ENDS)} == {"2.0"}
    assert "down" not in (balancer.folder / "upstream.conf").read_text()

"""The event loop of all SSH connections."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
from deployengine.steps.ssh.loop import the_loop

barrier = threading.Barrier(32)
found = []

def ask():
    barrier.wait()
    found.append(the_loop())

threads = [threading.Thread(target=ask) for _ in range(32)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(len(found), len(set(found)))
"""


def test_threads_that_ask_in_the_same_moment_are_given_one_loop() -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    assert said.stdout.split() == ["32", "1"]

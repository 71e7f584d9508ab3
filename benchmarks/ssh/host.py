"""What the figures were measured on, and with which versions."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any


def host() -> dict[str, Any]:
    """Date, cores, load and versions."""
    told = subprocess.run(["ssh", "-V"], check=True, capture_output=True, text=True)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[1], 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssh": told.stderr.partition(",")[0].strip(),
        **{name: version(name) for name in ("deployengine", "asyncssh")},
    }

"""Machines that are reached by SSH, without anything installed there.

How it goes
    :mod:`way` says how a machine is reached, :mod:`login` logs in (:mod:`host_keys`). The
    :mod:`machine` keeps connections and asks, over a :mod:`channel`, what :mod:`agent` sends along:
    a shell text (``agent.sh``) that does on the machine what the modules for local machines do
    here, with the same files, wrapper and rule (:mod:`deployengine.steps.fences`).
    :mod:`start` and :mod:`ticket` are the two halves of the contract, :mod:`stream` is what comes
    back.

Why a script is never begun twice
    A start is one request that may be sent again when its answer was lost: a ticket begins once.
    The connection is only an ear. Whoever loses it attaches anew, from the byte that has come; the
    script does not notice.

Why nobody else's library has to be there
    asyncssh is wanted only where a machine is reached by SSH; it comes with the extra ``ssh``.
"""

from __future__ import annotations

from deployengine.steps.ssh.fleet import Fleet
from deployengine.steps.ssh.shown_key import ShownKey, show_host_key

__all__ = ["Fleet", "ShownKey", "show_host_key"]

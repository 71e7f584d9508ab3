"""kombu's Redis transport for messages that are hints.

kombu keeps every message that was fetched in two more keys until it is acknowledged, and makes a
new client object for each of these calls. Nothing here needs that: a message carries ids and no
authority, the claim in the database refuses a second one, and housekeeping sends a lost one again.
So a message is off the books when it is fetched. That saves half of the commands of the broker, and
with them the visibility time-out, by which a script that runs for hours would be delivered again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kombu.transport import redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

#: The priority of a message that is to be fetched before all that are not urgent.
URGENT = 9
#: What the name of a queue's list of urgent messages ends with; kombu cuts off what begins so.
URGENT_LIST = f"{redis.Channel.sep}urgent"


class NoBooks(redis.QoS):
    """Nothing is kept until it is acknowledged, so nothing is looked for that was not."""

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Does nothing; kombu's own takes a lock in Redis each time it comes up."""


class HintChannel(redis.Channel):
    """A channel without acknowledgements and with one client for all its calls."""

    QoS = NoBooks

    _shared: Any = None

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,  # noqa: ARG002  # what the consumer wishes; here it is always so
        callback: Callable[[Any], Any],
        consumer_tag: str,
        **kwargs: Any,
    ) -> Any:
        """Consumes without keeping what it fetched."""
        return super().basic_consume(queue, True, callback, consumer_tag, **kwargs)

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Does nothing: there is no book to strike the message from."""

    def _connparams(self, asynchronous: bool = False) -> Any:
        # kombu reads them off the connection without a look. A channel that was closed under
        # somebody's hands is a connection that is gone, which kombu knows how to mend.
        if self.connection is None:
            raise ConnectionError("the channel to the broker was closed")
        return super()._connparams(asynchronous)

    def _q_for_pri(self, queue: str, pri: int) -> str:
        """A queue is two lists: one of what is urgent, and one that bears its own name."""
        return f"{queue}{URGENT_LIST}" if pri == URGENT else queue

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except ResponseError as error:
            # So a server tells who waits in it that it has become a replica. Celery would end.
            if str(error).startswith("UNBLOCKED"):
                raise ConnectionError(str(error)) from error
            raise

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous)
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = super()._create_client()
        return self._shared


class HintTransport(redis.Transport):
    """Redis for hints; a message in flight at a clean stop is put back into its queue."""

    Channel = HintChannel
    #: A server that is full, or has just become a replica, counts as away for a while.
    connection_errors = (*redis.Transport.connection_errors, OutOfMemoryError, ReadOnlyError)

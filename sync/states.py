"""The states of a session and everything that may happen in them, as one table.

Everything that decides in which order two nodes may speak stands in
`TRANSITIONS`; `yidao.sync.session` drives it. The table does not know who is
parent and who is child: both say Hello, then Resume, then exchange frames, each
direction on its own.

    NEW --START--> GREETING --HELLO--> GREETED
    GREETED --OWN_RESUME--> RESUME_SENT --RESUME--> LOCATING
    GREETED --RESUME--> RESUME_RECEIVED --OWN_RESUME--> LOCATING
    LOCATING --LOCATED--> FLOWING
    any of these --CLOSE or GOODBYE--> CLOSED

Control messages and frames come on two streams, in either relative order. A peer
sends frames as soon as it has our Resume and has located itself, which may be
before its own Resume has come to us; so frames are in order from RESUME_SENT on.
It cannot know our cursors earlier, and a frame before that is an error. We send
frames from FLOWING on, and only then can acknowledgements come.

What has no place in the table raises, and nothing changes.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from yidao.sync import errors


class State(Enum):
    """Where a session stands."""

    # An enum's own one hashes its name anew each time; every event looks into the table.
    __hash__ = object.__hash__

    NEW = "new"
    GREETING = "greeting"
    GREETED = "greeted"
    RESUME_SENT = "resume sent"
    RESUME_RECEIVED = "resume received"
    LOCATING = "locating"
    FLOWING = "flowing"
    CLOSED = "closed"


class Event(Enum):
    """What can happen to a session; the first group comes from the peer."""

    __hash__ = object.__hash__

    HELLO = "hello"
    RESUME = "resume"
    FRAME = "frame"
    ACK = "ack"
    RECEIPT = "receipt"
    REFUSAL = "refusal"
    HEARTBEAT = "heartbeat"
    GOODBYE = "goodbye"

    START = "start"
    OWN_RESUME = "own resume"
    LOCATED = "located"
    READ = "read"
    INGESTED = "ingested"
    OWN_RECEIPT = "own receipt"
    CLOSE = "close"


PEER_EVENTS: Final = frozenset(
    {
        Event.HELLO,
        Event.RESUME,
        Event.FRAME,
        Event.ACK,
        Event.RECEIPT,
        Event.REFUSAL,
        Event.HEARTBEAT,
        Event.GOODBYE,
    }
)

TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    (State.NEW, Event.START): State.GREETING,
    (State.NEW, Event.CLOSE): State.CLOSED,
    (State.GREETING, Event.HELLO): State.GREETED,
    (State.GREETING, Event.HEARTBEAT): State.GREETING,
    (State.GREETING, Event.GOODBYE): State.CLOSED,
    (State.GREETING, Event.CLOSE): State.CLOSED,
    (State.GREETED, Event.OWN_RESUME): State.RESUME_SENT,
    (State.GREETED, Event.RESUME): State.RESUME_RECEIVED,
    (State.GREETED, Event.HEARTBEAT): State.GREETED,
    (State.GREETED, Event.GOODBYE): State.CLOSED,
    (State.GREETED, Event.CLOSE): State.CLOSED,
    (State.RESUME_SENT, Event.RESUME): State.LOCATING,
    (State.RESUME_SENT, Event.FRAME): State.RESUME_SENT,
    (State.RESUME_SENT, Event.INGESTED): State.RESUME_SENT,
    (State.RESUME_SENT, Event.HEARTBEAT): State.RESUME_SENT,
    (State.RESUME_SENT, Event.GOODBYE): State.CLOSED,
    (State.RESUME_SENT, Event.CLOSE): State.CLOSED,
    (State.RESUME_RECEIVED, Event.OWN_RESUME): State.LOCATING,
    (State.RESUME_RECEIVED, Event.HEARTBEAT): State.RESUME_RECEIVED,
    (State.RESUME_RECEIVED, Event.GOODBYE): State.CLOSED,
    (State.RESUME_RECEIVED, Event.CLOSE): State.CLOSED,
    (State.LOCATING, Event.LOCATED): State.FLOWING,
    (State.LOCATING, Event.FRAME): State.LOCATING,
    (State.LOCATING, Event.INGESTED): State.LOCATING,
    (State.LOCATING, Event.RECEIPT): State.LOCATING,
    (State.LOCATING, Event.REFUSAL): State.LOCATING,
    (State.LOCATING, Event.OWN_RECEIPT): State.LOCATING,
    (State.LOCATING, Event.HEARTBEAT): State.LOCATING,
    (State.LOCATING, Event.GOODBYE): State.CLOSED,
    (State.LOCATING, Event.CLOSE): State.CLOSED,
    (State.FLOWING, Event.FRAME): State.FLOWING,
    (State.FLOWING, Event.INGESTED): State.FLOWING,
    (State.FLOWING, Event.READ): State.FLOWING,
    (State.FLOWING, Event.ACK): State.FLOWING,
    (State.FLOWING, Event.RECEIPT): State.FLOWING,
    (State.FLOWING, Event.REFUSAL): State.FLOWING,
    (State.FLOWING, Event.OWN_RECEIPT): State.FLOWING,
    (State.FLOWING, Event.HEARTBEAT): State.FLOWING,
    (State.FLOWING, Event.GOODBYE): State.CLOSED,
    (State.FLOWING, Event.CLOSE): State.CLOSED,
}


def next_state(state: State, event: Event) -> State:
    """Return the state after `event`.

    Raises:
        SessionOutOfOrder: The peer sent what has no place here.
        SessionMisused: We did what has no place here.
    """
    after = TRANSITIONS.get((state, event))
    if after is None:
        fault = errors.SessionOutOfOrder if event in PEER_EVENTS else errors.SessionMisused
        raise fault(state=state.value, event=event.value)
    return after

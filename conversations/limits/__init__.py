"""What people may use: `plans` says who may use what, `metering` counts, `words` tells them.

This limits what people ask for. What the machine can carry is in `admission`.
"""

from conversations.limits.checks import check_attachments, check_message, overview
from conversations.limits.metering import (
    Estimate,
    LimitExceeded,
    forget,
    reserve,
    settle,
    settle_left,
)
from conversations.limits.plans import Limits, limits_of, standing_of
from conversations.limits.watching import note_streams, streams_elsewhere

__all__ = [
    "Estimate",
    "LimitExceeded",
    "Limits",
    "check_attachments",
    "check_message",
    "forget",
    "limits_of",
    "note_streams",
    "overview",
    "reserve",
    "settle",
    "settle_left",
    "standing_of",
    "streams_elsewhere",
]

"""What the operator may set, by environment variables, read once when the app starts.

LRP_TAPE_BYTES: how many bytes the recorded runs of all visitors may take together (2 GB).
LRP_ALLOW_DOWNLOADS: 1 lets the app download the weights of a network that a visitor chooses; off by default.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Config:
    """The settings of one server."""

    tape_bytes: int = 2_000_000_000
    allow_downloads: bool = False


def read(environment: Mapping[str, str]) -> tuple[Config, tuple[str, ...]]:
    """The settings in these variables, and one plain sentence for each value that means nothing: its default counts."""
    chosen, complaints = {}, []
    if size := environment.get("LRP_TAPE_BYTES", "").strip():
        if size.isdecimal() and int(size):
            chosen["tape_bytes"] = int(size)
        else:
            default = Config.tape_bytes
            complaints.append(f"LRP_TAPE_BYTES is {size!r}, but must be a whole number above 0; {default} is used.")
    if allowed := environment.get("LRP_ALLOW_DOWNLOADS", "").strip():
        if allowed in ("0", "1"):
            chosen["allow_downloads"] = allowed == "1"
        else:
            complaints.append(f"LRP_ALLOW_DOWNLOADS is {allowed!r}, but must be 0 or 1; downloads stay off.")
    return Config(**chosen), tuple(complaints)


@cache
def config() -> Config:
    """The settings of this server. What is wrong with them is said once, in the server's log."""
    found, complaints = read(os.environ)
    for complaint in complaints:
        logging.getLogger(__name__).warning(complaint)
    return found

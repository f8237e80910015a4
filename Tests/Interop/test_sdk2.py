"""The official Python SDK, mcp 2.3.0, unmodified: on the stateless wire, and in its legacy mode."""

import functools

from sdk2 import connect
from sdk_scenarios import define
from support import HANDSHAKE, MODERN, main

define(connect, MODERN)
define(functools.partial(connect, mode="legacy"), HANDSHAKE, tag=" (legacy mode)")

if __name__ == "__main__":
    main("sdk2")

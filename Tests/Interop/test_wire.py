"""Attacks over real sockets, against a running server. The titles carry the numbers of the cases.

Every test first shows that the honest request works, so that a refusal means what it says. Nothing here depends on how
long anything takes. The chapters are in `wire/`. They share servers, so they run in this order: `aged` looks at what
`discovery` began, and `records` looks at everything that the others left behind.
"""

from support import main
from wire import (  # noqa: F401 - importing a chapter registers its tests
    discovery,
    tokens,
    resource_server,
    authorization_endpoint,
    token_endpoint,
    client_authentication,
    refresh_and_revocation,
    pages,
    registration,
    parsers,
    sockets,
    aged,
    records,
)

if __name__ == "__main__":
    main("wire")

"""What has aged since the beginning of the run."""

from support import equal, test
from wire.lab import aging, denied, lab, refused, wait_until


@test("J-16: a token that expired is refused, though it was taken before")
def _():
    *_, short, since = aging()
    wait_until(8, since)
    refused(lab().server, short, "expired")
    lab().alive()


@test("F-04, R131, R138: after the grace of thirty seconds a used refresh token ends its chain, unless nobody ever used its successor")
def _():
    client, first, second, _, since = aging()
    _, control = lab().tokens(kind="other")
    successor = client.refresh(control).json["refresh_token"]
    equal(client.refresh(control).json["refresh_token"], successor, "within the grace")
    wait_until(32, since)
    reply = client.refresh(first)
    equal((reply.status, reply.json["refresh_token"]), (200, second), "after the grace: its successor was never used, so its answer was lost")
    third = client.refresh(second).json["refresh_token"]
    denied(client.refresh(first), what="once its successor was used")
    denied(client.refresh(third), what="the latest of that chain")

"""Refresh, revocation and introspection."""

from support import call, check, claims_of, equal, in_parallel, new_verifier, post_form, test
from wire.lab import dead, denied, lab, refused


@test("F-03, F-04: a refresh token is used once; its repetition gives the same successor, an older one ends everything")
def _():
    client = lab().client()
    access, first = lab().tokens()
    answer = client.refresh(first)
    second = answer.json["refresh_token"]
    equal(answer.status, 200, "refresh")
    check(first != second and answer.json["access_token"] != access, "nothing changed")
    for _ in range(3):
        again = client.refresh(first)
        equal((again.status, again.json["refresh_token"]), (200, second), "a lost answer, asked for again")
    third = client.refresh(second)
    equal(third.status, 200, "the successor")
    denied(client.refresh(first), what="older than the predecessor")
    for token in (second, third.json["refresh_token"]):
        denied(client.refresh(token), what="of the same chain")
    refused(client.server, third.json["access_token"], "access token of the chain")
    refused(client.server, access, "the first access token")
    check(lab().server.audit("refresh_token.reused", "denied"), "no audit event")


@test("F-02, I1: of twenty refreshes at once there is one successor")
def _():
    client = lab().client()
    for _ in range(5):
        _, first = lab().tokens()
        replies = in_parallel(20, lambda index: client.refresh(first))
        successors = {reply.json["refresh_token"] for reply in replies if reply.status == 200}
        equal(len(successors), 1, f"successors of {[reply.status for reply in replies]}")
        last = client.refresh(successors.pop())
        equal(last.status, 200, "the successor lives")
        denied(client.refresh(first), what="the first one again")
        denied(client.refresh(last.json["refresh_token"]), what="everything has ended")


@test("F-05: a refresh may ask for less and never for more, and a refusal costs nothing")
def _():
    client = lab().client()
    _, token = lab().tokens(scope="read:tasks write:tasks")
    for scope in ("delete:tasks", "admin", "read:tasks\twrite:tasks", "read:tasks\u00a0x", "*", "READ:TASKS"):
        denied(client.refresh(token, scope=scope), "invalid_scope", what=scope)
    for resource in ("https://evil.lab/mcp", client.server.origin):
        denied(client.refresh(token, resource=resource), "invalid_target", what=resource)
    reply = client.refresh(token, scope="read:tasks")
    equal((reply.status, reply.json["scope"], claims_of(reply.json["access_token"])["scope"]), (200, "read:tasks", "read:tasks"), "less")
    equal(call(client.server, reply.json["access_token"], "create-task", {"text": "x"}).status, 403, "less is less")
    reply = client.refresh(reply.json["refresh_token"])
    equal(set(reply.json["scope"].split()), {"read:tasks", "write:tasks"}, "the grant is what it was")
    reply = client.refresh(reply.json["refresh_token"], scope=" read:tasks  write:tasks delete:tasks admin ")
    equal(set(claims_of(reply.json["access_token"])["scope"].split()), {"read:tasks", "write:tasks"}, "what was not granted stays out")


@test("F-06: a refresh token works for its own client, as what it is")
def _():
    client, other, basic = lab().client(), lab().client("other"), lab().client("basic")
    access, token = lab().tokens()
    denied(other.refresh(token), what="another client")
    denied(basic.refresh(token), what="another client with a secret")
    denied(client.refresh(access), what="an access token")
    denied(client.refresh(client.code(lab().browser())[0]), what="a code")
    denied(client.redeem(token, new_verifier()), what="a refresh token as code")
    for bad in (token + "\u0301", token[:-1], token + "=", token.swapcase(), "x", "'; DROP TABLE grants; --"):
        denied(client.refresh(bad), what=bad)
    denied(client.refresh(""), "invalid_request")
    equal(call(client.server, access, "whoami").status, 200, "the access token, after all that")
    equal(client.refresh(token).status, 200, "its own client, after all that")


@test("F-09, I4: revocation ends one's own tokens at once, and nobody else's")
def _():
    client, other, basic = lab().client(), lab().client("other"), lab().client("basic")
    access, refresh = lab().tokens()
    for text in (access, refresh):
        equal(other.revoke(text).status, 200, "another client")
        equal(basic.revoke(text).status, 200, "another client with a secret")
        denied(post_form(client.server.origin + "/revoke", {"token": text}), "invalid_client", 401, "nobody")
        denied(post_form(client.server.origin + "/revoke", {"token": text, "client_id": basic.id}), "invalid_client", 401, "without the secret")
    equal(call(client.server, access, "whoami").status, 200, "the access token still works")
    refresh = client.refresh(refresh).json["refresh_token"]
    for garbage in ("x", "x.y.z", access[:-4] + "AAAA", "\u0301"):
        equal(client.revoke(garbage).status, 200, "garbage")
    equal(client.revoke(access, token_type_hint="refresh_token").status, 200, "with a wrong hint")
    refused(client.server, access, "revoked")
    latest = client.refresh(refresh)
    equal(latest.status, 200, "an access token goes alone")
    equal(client.revoke(latest.json["refresh_token"], token_type_hint="access_token").status, 200, "with a wrong hint")
    dead(latest.json["access_token"], latest.json["refresh_token"], client, "after revocation of the refresh token")
    equal(client.revoke(latest.json["refresh_token"]).status, 200, "again")


@test("F-12: when a refresh and a revocation meet, nothing is left alive")
def _():
    client = lab().client()
    for _ in range(20):
        access, token = lab().tokens()
        refreshed, revoked = in_parallel(2, lambda index: client.revoke(token) if index else client.refresh(token))
        equal(revoked.status, 200, "revocation")
        refused(client.server, access, "the first access token")
        denied(client.refresh(token))
        if refreshed.status == 200:
            dead(refreshed.json["access_token"], refreshed.json["refresh_token"], client, "refreshed meanwhile")


@test("F-13: only a registered resource server may introspect")
def _():
    server, token = lab().server, lab().token()
    lab().alive()
    denied(post_form(server.origin + "/introspect", {"token": token}), "invalid_client", 401, "nobody")
    for kind in ("public", "basic", "post"):
        fields, headers = lab().client(kind).authenticate({"token": token})
        for accept in ("application/json", "application/token-introspection+jwt"):
            reply = post_form(server.origin + "/introspect", fields, {**headers, "Accept": accept})
            denied(reply, "invalid_client", 401, f"client {kind}")
            check("active" not in reply.text, reply)

"""Codes and the token endpoint."""

import json
import urllib.parse

from support import call, challenge_of, check, claims_of, equal, in_parallel, new_verifier, send, test
from wire.lab import Lab, dead, denied, lab, open_page, told


@test("T-01: PKCE with S256, or nothing")
def _():
    for kind in ("public", "web", "basic"):
        client = lab().client(kind)
        equal(open_page(client).status, 200, "S256")
        challenge = challenge_of(new_verifier())
        for changes in (
            {"code_challenge": None}, {"code_challenge_method": None}, {"code_challenge_method": "plain"}, {"code_challenge_method": "s256"},
            {"code_challenge_method": "S512"}, {"code_challenge_method": "S256 "}, {"code_challenge": challenge[:-1]},
            {"code_challenge": challenge + "A"}, {"code_challenge": challenge + "="}, {"code_challenge": challenge[:-1] + "+"},
            {"code_challenge": challenge[:-1] + "\u0301"}, {"code_challenge": ""}, {"code_challenge": None, "code_challenge_method": None},
            {"code_challenge": new_verifier()[:43], "code_challenge_method": "plain"},
        ):
            equal(told(open_page(client, **changes), client, str(changes))["error"], "invalid_request", str(changes))


@test("T-02: a code is redeemed with its own verifier only, and a wrong one does not burn it")
def _():
    client = lab().client()
    code, verifier = client.code(lab().browser())
    for what, bad, error in (
        ("none", None, "invalid_request"), ("empty", "", "invalid_request"), ("another", new_verifier(), "invalid_grant"),
        ("short", verifier[:42], "invalid_grant"), ("long", verifier + "x", "invalid_grant"), ("129 characters", "a" * 129, "invalid_grant"),
        ("the challenge", challenge_of(verifier), "invalid_grant"), ("padded", verifier + "=", "invalid_grant"),
        ("in capitals", verifier.swapcase(), "invalid_grant"), ("with a mark", verifier + "\u0301", "invalid_grant"),
        ("spaces", " " * 43, "invalid_grant"),
    ):
        denied(client.redeem(code, bad), error, what=what)
    equal(client.redeem(code, verifier).status, 200, "the right one, after all that")


@test("T-04: a code that is used twice ends what came of it")
def _():
    client = lab().client()
    code, verifier = client.code(lab().browser())
    first = client.redeem(code, verifier)
    equal(first.status, 200, "first use")
    access, refresh = first.json["access_token"], first.json["refresh_token"]
    equal(call(client.server, access, "whoami").status, 200, "its token")
    denied(client.redeem(code, verifier), what="second use")
    dead(access, refresh, client, "after the second use")
    denied(client.redeem(code, verifier), what="third use")
    check(lab().server.audit("code.replayed", "denied"), "no audit event")


@test("T-05, I1: of twenty who redeem one code at once, one gets tokens")
def _():
    client = lab().client()
    for _ in range(5):
        code, verifier = client.code(lab().browser())
        replies = in_parallel(20, lambda index: client.redeem(code, verifier))
        statuses = sorted(reply.status for reply in replies)
        equal(statuses, [200] + [400] * 19, "answers")
        for reply in replies:
            if reply.status != 200:
                denied(reply)
            else:
                dead(reply.json["access_token"], reply.json["refresh_token"], client, "replayed nineteen times")


@test("T-06: a code in the wrong hands is worth nothing and harms nobody")
def _():
    client, other = lab().client(), lab().client("other")
    code, verifier = client.code(lab().browser())
    denied(other.redeem(code, verifier), what="another client")
    denied(client.redeem(code[:-1] + ("A" if code[-1] != "A" else "B"), verifier), what="a code that is nearly it")
    denied(client.redeem(code, verifier, redirect_uri="http://127.0.0.1:9/callback"), what="another redirect URI")
    for uri in (client.redirect + "/", client.redirect.upper(), client.redirect + "\u0301"):
        denied(client.redeem(code, verifier, redirect_uri=uri), what=uri)
    first = client.redeem(code, verifier)
    equal(first.status, 200, "its own client, after all that")
    denied(other.redeem(code, verifier), what="another client, after use")
    denied(client.redeem(code, new_verifier()), what="another verifier, after use")
    equal(call(client.server, first.json["access_token"], "whoami").status, 200, "the token still works")
    equal(client.refresh(first.json["refresh_token"]).status, 200, "the refresh token still works")


@test("T-06, Z-14: a code of another client does not go through in one's own request (code injection)")
def _():
    client, other = lab().client(), lab().client("other")
    stolen, _ = client.code(lab().browser("grace"))
    _, verifier = other.code(lab().browser())
    denied(other.redeem(stolen, verifier), what="with one's own client")
    denied(client.redeem(stolen, verifier), what="with the victim's client and one's own verifier")
    foreign = Lab.named("second")
    foreign_code, foreign_verifier = foreign.client().code(foreign.browser())
    denied(client.redeem(foreign_code, foreign_verifier), what="a code of another server (T-08)")
    denied(foreign.client().redeem(*client.code(lab().browser())), what="the other way round")


@test("T-11: scope and resource of a code are fixed, and asking for others does not burn it")
def _():
    client = lab().client()
    code, verifier = client.code(lab().browser(), scope="read:tasks")
    for scope in ("write:tasks", "admin", "read:tasks\u00a0x"):
        denied(client.redeem(code, verifier, scope=scope), "invalid_scope")
    for resource in ("https://evil.lab/mcp", client.server.origin, client.server.url + "//", client.server.url + "\u0301"):
        denied(client.redeem(code, verifier, resource=resource), "invalid_target")
    reply = client.redeem(code, verifier, scope="read:tasks write:tasks admin", resource=client.server.url)
    equal((reply.status, reply.json["scope"]), (200, "read:tasks"), "what was allowed")
    equal(claims_of(reply.json["access_token"])["scope"], "read:tasks", "scope of the token")
    equal(claims_of(reply.json["access_token"])["aud"], client.server.url, "audience of the token")


@test("T-12: answers of the token endpoint are JSON that nobody stores; who registered for the code grant alone gets a refresh token too")
def _():
    client = lab().client()
    code, verifier = client.code(lab().browser())
    reply = client.redeem(code, verifier)
    equal((reply.status, reply.header("Content-Type"), reply.header("Cache-Control")), (200, "application/json", "no-store"), "headers")
    equal(reply.header("X-Content-Type-Options"), "nosniff", "nosniff")
    claims = claims_of(reply.json["access_token"])
    equal((reply.json["token_type"], reply.json["expires_in"]), ("Bearer", claims["exp"] - claims["iat"]), "lifetime")
    once = lab().client("once")
    code, verifier = once.code(lab().browser())
    reply = once.redeem(code, verifier)
    equal((reply.status, "refresh_token" in reply.json), (200, True), "a client that did not think of the refresh grant")
    _, refresh = lab().tokens()
    denied(once.refresh(refresh), "invalid_grant", what="somebody else's")


@test("T-12: the token, revocation and introspection endpoints take forms by POST, with each parameter once")
def _():
    client = lab().client()
    server = client.server
    code, verifier = client.code(lab().browser())
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "client_id": client.id, "redirect_uri": client.redirect}
    form = urllib.parse.urlencode(fields)
    for path in ("/token", "/revoke", "/introspect"):
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
            reply = send(method, f"{server.origin}{path}?{form}")
            equal((reply.status, reply.header("Allow")), (405, "POST"), f"{method} {path}")
        for kind, body in (
            ("application/json", json.dumps(fields)), ("text/plain", form), ("multipart/form-data; boundary=x", form), (None, form),
            ("application/x-www-form-urlencodedx", form),
        ):
            headers = {"Content-Type": kind} if kind else {}
            denied(send("POST", server.origin + path, body, headers), "invalid_request", what=f"{path} with {kind}")
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        for body in (form + "%", form + "%zz", form + "&x=%ff", form + "&x=%00", "&".join(["a=b"] * 5000)):
            denied(send("POST", server.origin + path, body, kind), "invalid_request", what=f"{path} with {body[-20:]}")
    for name in fields:
        for other in (fields[name], "x"):
            denied(
                send("POST", server.origin + "/token", f"{form}&{name}={urllib.parse.quote(other, safe='')}", kind), "invalid_request",
                what=f"two of {name}",
            )
    denied(send("POST", f"{server.origin}/token?{form}", "", kind), "invalid_request", what="everything in the query")
    kind["Content-Type"] = "Application/X-WWW-Form-Urlencoded; charset=UTF-8"
    equal(send("POST", server.origin + "/token", form, kind).status, 200, "the honest form, after all that")

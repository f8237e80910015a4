"""The resource server and its transport."""

import base64
import json
import re
import secrets
import socket

from cryptography.hazmat.primitives.asymmetric import ec

from support import (
    HANDSHAKE, PASSWORD, Failure, call, check, equal, in_parallel, mcp, modern_body, modern_headers, post_form,
    post_json, raw, raw_status, send, send_target, structured, test,
)
from wire.lab import handshake, lab, request_bytes, segments, signed, unb64


@test("R-01: without a credential that counts: 401, a challenge without error, and no data")
def _():
    server, token = lab().server, lab().token()
    lab().alive()
    body = json.dumps(modern_body("tools/call", {"name": "whoami", "arguments": {}}))
    for what, headers in {
        "nothing": [], "Basic": [("Authorization", "Basic " + base64.b64encode(b"ada:" + PASSWORD.encode()).decode())],
        "no scheme": [("Authorization", token)], "Digest": [("Authorization", 'Digest username="ada"')],
        "Bearers": [("Authorization", f"Bearers {token}")],
        "a cookie": [("Cookie", f"access_token={token}; mcp-auth-session={lab().browser().cookies['mcp-auth-session']}")],
        "another header": [("X-Authorization", f"Bearer {token}"), ("Proxy-Authorization", f"Bearer {token}")],
    }.items():
        for method in ("POST", "GET", "DELETE", "PUT"):
            reply = send(method, server.url, body if method == "POST" else None, modern_pairs() + headers)
            equal(reply.status, 401, f"{method} with {what}")
            challenge = reply.header("WWW-Authenticate")
            check(challenge.startswith("Bearer ") and "error=" not in challenge and 'scope="' in challenge, challenge)
            check("resource_metadata=" in challenge and "subject" not in reply.text and reply.header("Cache-Control") == "no-store", reply.headers)


def modern_pairs(method="tools/call", name="whoami"):
    return list(modern_headers(None, method, name).items())


@test("R-01: a token in the query or in a form does not count")
def _():
    server, token = lab().server, lab().token()
    lab().alive()
    body = json.dumps(modern_body("tools/call", {"name": "whoami", "arguments": {}}))
    for target in (f"{server.url}?access_token={token}", f"{server.url}?Authorization=Bearer%20{token}"):
        equal(send("POST", target, body, modern_pairs()).status, 401, "token in the query")
    equal(post_form(server.url, {"access_token": token}).status, 401, "token in a form")
    equal(send("POST", f"{server.url}?access_token={token}", body, modern_headers(token, "tools/call", "whoami")).status, 200, "a query is no harm")


@test("R-13: two credentials are none, whichever is good")
def _():
    server, token = lab().server, lab().token()
    body = json.dumps(modern_body("tools/call", {"name": "whoami", "arguments": {}}))
    good = ("Authorization", f"Bearer {token}")
    equal(send("POST", server.url, body, modern_pairs() + [good]).status, 200, "one")
    for what, pair in {
        "the same twice": [good, good], "bad first": [("Authorization", "Bearer x"), good], "bad last": [good, ("authorization", "Bearer x")],
        "Basic first": [("Authorization", "Basic eDp5"), good], "joined": [("Authorization", f"Bearer {token}, Bearer {token}")],
        "joined to Basic": [("Authorization", f"Basic eDp5, Bearer {token}")], "no token": [("Authorization", "Bearer ")],
        "a space in it": [("Authorization", f"Bearer {token} x")],
    }.items():
        reply = send("POST", server.url, body, modern_pairs() + pair)
        check(reply.status in (400, 401), f"{what}: {reply!r}")


@test("R-04: nothing of a request gets into the challenge")
def _():
    server = lab().server
    header, claims, _ = segments(lab().token())
    lab().alive()
    mine = ec.generate_private_key(ec.SECP256R1())
    for evil in ('x", realm="evil', "x\r\nSet-Cookie: a=b", "x\\", "x\u2028y", "\u0301\""):
        bad = signed({**header, "kid": evil}, {**claims, "iss": evil, "scope": evil}, mine)
        received = raw(server.port, request_bytes("POST", "/mcp", server, [("Authorization", "Bearer " + bad), ("Content-Length", "0")]))
        head = received.split(b"\r\n\r\n")[0]
        equal(raw_status(received), 401, evil)
        check(b"evil" not in head and b"Set-Cookie" not in head, head)
        equal(len(re.findall(rb"(?im)^WWW-Authenticate:", head)), 1, "challenges")


@test("R-06: Host and forwarding headers do not get into documents, challenges and redirects")
def _():
    server = lab().server
    paths = ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server", "/mcp", "/account", "/jwks"]
    honest = {path: send("GET", server.origin + path) for path in paths}
    equal([reply.status for reply in honest.values()], [200, 200, 401, 200, 200], "honest answers")
    poison = [
        ("X-Forwarded-Host", "evil.lab"), ("Forwarded", "host=evil.lab;proto=https"), ("X-Forwarded-Proto", "https"), ("X-Original-URL", "/metrics"),
        ("X-Forwarded-Port", "1"), ("X-Forwarded-Prefix", "/evil.lab"), ("X-Rewrite-URL", "//evil.lab"), ("X-Host", "evil.lab"),
    ]
    for path in paths:
        reply = send("GET", server.origin + path, headers=poison)
        equal(reply.status, honest[path].status, path)
        if path != "/account":
            equal(reply.body, honest[path].body, path)
        equal(reply.header("WWW-Authenticate"), honest[path].header("WWW-Authenticate"), path)
        for host in ("evil.lab", "evil.lab:80", f"127.0.0.1:{server.port}@evil.lab", "evil.lab\\", "[::ffff:127.0.0.1]"):
            reply = send("GET", server.origin + path, headers={"Host": host})
            check("evil" not in reply.text + str(reply.headers), f"{path} with Host {host}: {reply!r}")
            check(reply.status in (400, 403, 421) or reply.body == honest[path].body, f"{path} with Host {host}: {reply!r}")
        for target in (f"http://evil.lab{path}", f"//evil.lab{path}", f"https://evil.lab{path}", f"evil.lab{path}"):
            reply = send_target("127.0.0.1", server.port, "GET", target)
            check("evil" not in reply.text + str(reply.headers), f"{target}: {reply!r}")
            check(reply.status in (400, 401, 403, 404, 421) or path == "/account" or reply.body == honest[path].body, f"{target}: {reply!r}")


@test("R-07: only the exact paths are the endpoints, and nothing goes around the token check")
def _():
    server = lab().server
    lab().alive()
    known = "/.well-known/oauth-protected-resource"
    for suffix in (
        "/..%2f..%2fetc/passwd", "/%2e%2e/", "//evil.lab", ";x", "/\\", "/%00", "/%c0%af", "/other", "/mcp/x", "/mcp%2f", "/MCP", "/mcp;x", "x",
        "/https://evil.lab", "/../oauth-protected-resource/mcp", "/./mcp",
    ):
        reply = send_target("127.0.0.1", server.port, "GET", known + suffix)
        check(reply.status in (400, 404), f"{suffix}: {reply!r}")
    body = json.dumps(modern_body("tools/call", {"name": "whoami", "arguments": {}}))
    for path in (
        "/mcp/..;/", "//mcp", "/MCP", "/mcp%2f", "/mcp/", "/.well-known/../mcp", "/mcp;x=1", "/%6dcp", "/mcp%00", "/./mcp", "/x/../mcp", "/mcp//",
        "/mcp\\", "/health/../mcp", "/metrics;/mcp", "/mcp.json", "/mcp%20", "/mcp?", "/mcp#", "/mcp%3f",
    ):
        reply = send_target("127.0.0.1", server.port, "POST", path, body, modern_headers(None, "tools/call", "whoami"))
        check(reply.status in (400, 401, 404), f"{path}: {reply!r}")
        check("subject" not in reply.text, path)
    for path in (
        "/authorize/", "//token", "/Token", "/token%2f", "/jwks.json", "/.git/config", "/admin", "/debug", "/assets/../master.key",
        "/assets/%2e%2e/master.key", "/assets/style.css/../../auth.db", "/auth.db", "/audit.jsonl", "/master.key",
    ):
        for method in ("GET", "POST"):
            equal(send_target("127.0.0.1", server.port, method, path).status, 404, f"{method} {path}")


@test("R-08: a name that points to this machine is not this server (DNS rebinding)")
def _():
    server, token, port = lab().server, lab().token(), lab().server.port
    body = json.dumps(modern_body("tools/call", {"name": "whoami", "arguments": {}})).encode()

    def status(hosts, origins=(), path="/mcp"):
        headers = list(
            modern_headers(token, "tools/call", "whoami").items()
        ) + [("Host", host) for host in hosts] + [("Origin", origin) for origin in origins]
        headers.append(("Content-Length", len(body)))
        return raw_status(raw(port, request_bytes("POST", path, server, headers, body, host="")))

    own = f"127.0.0.1:{port}"
    for host in (own, f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        equal(status([host]), 200, host)
    for origin in (server.origin, f"http://localhost:{port}", "http://127.0.0.1", "http://localhost:6274", f"https://127.0.0.1:{port}"):
        equal(status([own], [origin]), 200, f"{origin}, which is on this machine")
    for hosts in (
        ["evil.lab"], [f"evil.lab:{port}"], [f"127.0.0.1.evil.lab:{port}"], [f"localhost.evil.lab:{port}"], ["127.0.0.1"], [f"127.0.0.1:{port}0"], [],
        ["evil.lab", own], [""], [f"127.0.0.2:{port}"], [f"0.0.0.0:{port}"], [f"0x7f000001:{port}"], [f"127.1:{port}"], [f"{own}, evil.lab"],
        [f"user@{own}"], [f"{own}/x"], [f"localhost.:{port}"], [f"\u2460.lab:{port}"],
    ):
        check(status(hosts) in (400, 403), f"Host {hosts}: {status(hosts)}")
    for origin in (
        "http://evil.lab", "null", f"http://127.0.0.1:{port}.evil.lab", f"http://evil.lab:{port}", "http://127.0.0.2", "http://localhost.evil.lab",
        "", "file://", f"{server.origin}/", f"http://127.0.0.1:{port}@evil.lab", "*",
    ):
        equal(status([own], [origin]), 403, f"Origin {origin}")
    equal(status([own], [server.origin, "http://evil.lab"]), 403, "two origins")
    for path in (
        "/mcp", "/authorize", "/sign-in", "/consent", "/account", "/sign-out", "/account/disconnect", "/token", "/revoke", "/introspect", "/register",
    ):
        check(status([f"evil.lab:{port}"], path=path) in (400, 403), f"{path} with another Host")
    for path in ("/authorize", "/sign-in", "/consent", "/sign-out", "/account/disconnect"):
        equal(status([own], ["http://evil.lab"], path), 403, f"{path} from another site's page")


@test("R-08: two Host headers are refused, whichever is right")
def _():
    server = lab().server
    own = f"127.0.0.1:{server.port}"
    for hosts, expected in (([own], (401,)), ([own, "evil.lab"], (400, 403)), (["evil.lab", own], (400, 403)), ([own, own], (400, 403))):
        for path in ("/mcp", "/account"):
            found = raw_status(raw(server.port, request_bytes("GET", path, server, [("Host", host) for host in hosts], host="")))
            check(found in (expected if len(hosts) > 1 else (200, 401)), f"{path} with Host {hosts}: {found}")


@test("R-08, R73: the demo listens on 127.0.0.1 and on nothing else")
def _():
    port = lab().server.port
    lab().alive()
    for family, address in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET, own_address()), (socket.AF_INET6, "::1")):
        with socket.socket(family) as probe:
            probe.settimeout(2)
            try:
                probe.connect((address, port))
            except OSError:
                continue
            raise Failure(f"it also listens on {address}")


def own_address():
    """The address that this machine would use towards others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return probe.getsockname()[0] if not probe.getsockname()[0].startswith("127.0.0.1") else "127.0.0.3"
        except OSError:
            return "127.0.0.3"


def call_in(server, token, session):
    return handshake(server, token, session, "tools/call", {"name": "whoami", "arguments": {}})


@test("R-10, R72, R75: a session is nobody's credential, and belongs to who opened it")
def _():
    server, ada, grace = lab().server, lab().token(), lab().token("grace")
    session = handshake(server, ada).header("Mcp-Session-Id")
    equal(call_in(server, ada, session).status, 200, "its owner")
    for verb in ("POST", "GET", "DELETE"):
        equal(handshake(server, None, session, "tools/list", {}, verb).status, 401, f"{verb} without a token")
        equal(handshake(server, "x.y.z", session, "tools/list", {}, verb).status, 401, f"{verb} with a bad token")
        check(handshake(server, grace, session, "tools/list", {}, verb).status in (403, 404, 405), f"{verb} by somebody else")
    equal(call_in(server, grace, session).status, 404, "a call by somebody else")
    equal(call_in(server, ada, session).json["result"]["structuredContent"]["subject"], lab().alive()["subject"], "its owner, after all that")
    equal(handshake(server, ada, session, verb="DELETE").status, 204, "its owner ends it")
    equal(call_in(server, ada, session).status, 404, "after its end")


@test("R-10: session ids are long, random and never the client's choice")
def _():
    server, ada = lab().server, lab().token()
    ids = [handshake(server, ada).header("Mcp-Session-Id") for _ in range(20)]
    equal(len(set(ids)), 20, "different ids")
    check(all(len(unb64(text)) >= 16 for text in ids), ids[0])
    for position in range(4):
        check(len({text[position] for text in ids}) > 3, f"character {position} hardly changes: {ids}")
    reply = handshake(server, ada, "my-own-choice")
    equal(reply.status, 200, "initialize with an id")
    check(reply.header("Mcp-Session-Id") not in ("my-own-choice", None), "the client's id was adopted")
    equal(call_in(server, ada, "my-own-choice").status, 404, "an id that was never given out")
    equal(call_in(server, ada, None).status, 400, "no id")
    reply = call(server, ada, "whoami", headers={"Mcp-Session-Id": ids[0]})
    equal((reply.status, reply.header("Mcp-Session-Id")), (200, None), "the stateless wire knows no sessions")


@test("R-11: everybody gets their own answer, when all use the same id at once")
def _():
    server = lab().server
    tokens = {user: lab().token(user) for user in ("ada", "grace")}
    subjects = {user: structured(call(server, token, "whoami"))["subject"] for user, token in tokens.items()}
    check(subjects["ada"] != subjects["grace"], "one subject for two people")
    sessions = {user: handshake(server, token).header("Mcp-Session-Id") for user, token in tokens.items()}

    def work(index):
        user = ("ada", "grace")[index % 2]
        if index % 4 < 2:
            return user, [structured(call(server, tokens[user], "whoami", id=1))["subject"] for _ in range(10)]
        return user, [call_in(server, tokens[user], sessions[user]).json["result"]["structuredContent"]["subject"] for _ in range(10)]

    for user, found in in_parallel(24, work):
        equal(set(found), {subjects[user]}, f"answers to {user}")


@test("R-13: headers and body must say the same, and what is authorized is what is executed")
def _():
    server, token = lab().server, lab().token()
    mark = "R-13 " + secrets.token_hex(4)
    create = {"name": "create-task", "arguments": {"text": mark}}

    def request(headers=None, params=create, method="tools/call", body=None):
        found = {**modern_headers(token, "tools/call", "create-task"), **(headers or {})}
        return post_json(server.url, body or modern_body(method, params), {name: value for name, value in found.items() if value is not None})

    def count():
        return len(structured(call(server, token, "search-tasks", {"text": mark, "limit": 100}))["tasks"])

    equal(request().status, 200, "headers that agree")
    spelled = "=?base64?" + base64.b64encode(b"create-task").decode() + "?="
    equal(request({"Mcp-Name": spelled}).status, 200, "a name in base64")
    equal(count(), 2, "tasks")
    mismatch = {
        "method": {"Mcp-Method": "tools/list"}, "no method": {"Mcp-Method": None}, "method in capitals": {"Mcp-Method": "Tools/Call"},
        "name": {"Mcp-Name": "whoami"}, "no name": {"Mcp-Name": None}, "name in capitals": {"Mcp-Name": "CREATE-TASK"},
        "name in base64": {"Mcp-Name": "=?base64?d2hvYW1p?="}, "bad base64": {"Mcp-Name": "=?base64?Y3JlYXRlLXRhc2=?="},
        "nothing in base64": {"Mcp-Name": "=?base64??="}, "version": {"MCP-Protocol-Version": "2099-01-01"},
    }
    for what, headers in mismatch.items():
        reply = request(headers)
        equal(reply.status, 400, what)
        equal(reply.json["error"]["code"], -32020, what)
    pairs = list(modern_headers(token, "tools/call", "create-task").items())
    text = json.dumps(modern_body("tools/call", create))
    for name, other in (("Mcp-Method", "tools/list"), ("Mcp-Name", "whoami"), ("MCP-Protocol-Version", HANDSHAKE), ("mcp-name", "create-task")):
        for two in (pairs + [(name, other)], [(name, other)] + pairs):
            equal(send("POST", server.url, text, two).status, 400, f"two of {name}")
    for version in (HANDSHAKE, "2025-06-18", "2025-03-26", None, "2026-07-29", ""):
        equal(request({"MCP-Protocol-Version": version}).status, 400, f"version {version}")
    for what, bad in {
        "two methods": text.replace('"method"', '"method":"tools/list","method"', 1),
        "two names": text.replace('"name"', '"name":"whoami","name"', 1),
        "a name in disguise": text.replace('"name"', '"\\u006eame":"whoami","name"', 1), "a batch": f"[{text}]", "a batch of two": f"[{text},{text}]",
        "an empty batch": "[]", "two bodies": text + text, "JSON-RPC 1.0": text.replace('"2.0"', '"1.0"'),
        "no version": text.replace('"jsonrpc": "2.0", ', ""),
    }.items():
        check(bad != text, what)
        equal(request(body=bad).status, 400, what)
    equal(count(), 2, "tasks after all that")


@test("R-14, R77: a request state that this server never gave is refused")
def _():
    server, token = lab().server, lab().token()
    lab().alive()
    reply = mcp(server, token, "tools/call", {"name": "whoami", "arguments": {}, "requestState": "anything"})
    equal((reply.status, reply.json["error"]["code"]), (400, -32602), "requestState")


@test("R9, R10, X-14: what a token lacks is a 403 that names everything, before anything runs")
def _():
    server = lab().server
    reader, _ = lab().tokens(scope="read:tasks")
    equal(call(server, reader, "search-tasks").status, 200, "what it has")
    for tool, arguments, needed in (("create-task", {"text": "403"}, "write:tasks"), ("delete-task", {"id": 1}, "delete:tasks")):
        reply = call(server, reader, tool, arguments)
        equal((reply.status, reply.error), (403, "insufficient_scope"), tool)
        challenge = reply.header("WWW-Authenticate")
        check(challenge.startswith("Bearer ") and 'error="insufficient_scope"' in challenge, challenge)
        check(f'resource_metadata="{server.origin}/.well-known/oauth-protected-resource/mcp"' in challenge, challenge)
        scopes = re.search(r'scope="([^"]*)"', challenge).group(1).split()
        equal(set(scopes), {needed, "read:tasks"}, "the scopes to ask for")
    session = handshake(server, reader).header("Mcp-Session-Id")
    reply = handshake(server, reader, session, "tools/call", {"name": "create-task", "arguments": {"text": "403"}})
    equal(reply.status, 403, "on the wire with a handshake")
    notification = json.dumps(
        {k: v for k, v in modern_body("tools/call", {"name": "create-task", "arguments": {"text": "403"}}).items() if k != "id"}
    )
    equal(send("POST", server.url, notification, modern_headers(reader, "tools/call", "create-task")).status, 403, "as a notification")
    equal(structured(call(server, lab().token(), "search-tasks", {"text": "403"}))["tasks"], [], "tasks made without the scope")

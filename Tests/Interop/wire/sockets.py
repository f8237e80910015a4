"""Whatever comes through the socket."""

import re
import socket
import time
import urllib.parse

from support import check, equal, raw, raw_status, send, test
from wire.lab import lab, request_bytes


@test("N-05, G-06: what is not HTTP gets an error or nothing, and never two answers")
def _():
    server = lab().server
    own = b"Host: 127.0.0.1:%d\r\n" % server.port
    hidden = b"GET /health HTTP/1.1\r\n" + own + b"\r\n"
    equal(raw_status(raw(server.port, request_bytes("GET", "/health", server))), 200, "an honest request")
    post = b"POST /mcp HTTP/1.1\r\n" + own
    bad = {
        "every byte": bytes(range(256)), "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/0.9": b"GET /health\r\n\r\n", "HTTP/3.7": b"GET /health HTTP/3.7\r\n\r\n",
        "small letters": b"get /health http/1.1\r\n\r\n", "line breaks": b"\r\n" * 1000, "a NUL": b"GET /\0 HTTP/1.1\r\n" + own + b"\r\n",
        "length and chunks": post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        "two lengths": post + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + hidden,
        "length +5": post + b"Content-Length: +5\r\n\r\nhello" + hidden, "length -1": post + b"Content-Length: -1\r\n\r\n" + hidden,
        "length 0x5": post + b"Content-Length: 0x5\r\n\r\nhello" + hidden, "length 5,5": post + b"Content-Length: 5,5\r\n\r\nhello" + hidden,
        "length of 20 digits": post + b"Content-Length: 99999999999999999999\r\n\r\nx",
        "xchunked": post + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "a tab before chunked": post + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + hidden,
        "chunked twice": post + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden,
        "bare LF": post + b"X: y\nTransfer-Encoding: chunked\r\n\r\n" + hidden,
        "a folded line": post + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n",
        "a chunk too large": post + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
        "a negative chunk": post + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx", "a NUL in a header": post + b"X: a\0b\r\n\r\n",
        "a space before the colon": post + b"Content-Length : 5\r\n\r\nhello" + hidden, "no colon": post + b"Xyz\r\n\r\n",
        "a name that is not ASCII": post + b"X\xc3\xa9: a\r\n\r\n", "an empty name": post + b": a\r\n\r\n", "a bare CR": post + b"X: a\rY: b\r\n\r\n",
    }
    twice = []
    for what, data in bad.items():
        received = raw(server.port, data, timeout=2)
        check(raw_status(received) in (0, 400, 401, 408, 413, 414, 431, 501, 505), f"{what}: {received[:100]!r}")
        check(b'"status":"ok"' not in received, f"{what}: the hidden request was answered")
        # A second answer on a connection that is shared would be taken for the answer to somebody else's request.
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", received)
        if len(statuses) > 1:
            twice.append(f"{what}: {b', '.join(statuses).decode()}")
    equal(twice, [], "requests that were answered twice")
    for method in ("TRACE", "CONNECT", "OPTIONS", "PROPFIND", "X" * 1000, "GET\u0301".encode().decode("latin-1")):
        for target in ("/mcp", "*", "evil.lab:80", "/token"):
            received = raw(server.port, request_bytes(method, target, server), timeout=2)
            check(raw_status(received) in (0, 204, 400, 401, 403, 404, 405, 501), f"{method[:20]} {target}: {received[:100]!r}")
            check(lab().token().encode() not in received, "an echo")
    lab().alive()


@test("N-02: what is too large is refused before it is read, and the server goes on")
def _():
    server, token = lab().server, lab().token()
    lab().alive()
    own = b"Host: 127.0.0.1:%d\r\n" % server.port
    post = b"POST /mcp HTTP/1.1\r\n" + own + b"Connection: close\r\nContent-Type: application/json\r\n"
    post += b"Authorization: Bearer " + token.encode() + b"\r\n"
    large = {
        "1 MB of URI": (b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n" + own + b"\r\n", (400, 414, 431)),
        "1 MB of query": (b"GET /authorize?x=" + b"a" * 1_000_000 + b" HTTP/1.1\r\n" + own + b"\r\n", (400, 414, 431)),
        "100 000 headers": (b"GET /health HTTP/1.1\r\n" + own + b"X: y\r\n" * 100_000 + b"\r\n", (400, 431)),
        "1 MB of header": (b"GET /health HTTP/1.1\r\n" + own + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n", (400, 431)),
        "1 MB of cookie": (b"GET /account HTTP/1.1\r\n" + own + b"Cookie: mcp-auth-session=" + b"a" * 1_000_000 + b"\r\n\r\n", (400, 431)),
        "5 MB for MCP": (post + b"Content-Length: 5000000\r\n\r\n" + b" " * 5_000_000, (413,)),
        "5 MB in chunks": (post + b"Transfer-Encoding: chunked\r\n\r\n4c4b40\r\n" + b" " * 5_000_000 + b"\r\n0\r\n\r\n", (413,)),
        "1 GB announced": (post + b"Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n", (413, 417)),
    }
    for path in (b"/token", b"/register", b"/revoke", b"/introspect", b"/authorize", b"/sign-in", b"/consent"):
        large[path.decode()] = (
            b"POST " + path + b" HTTP/1.1\r\n" + own + b"Connection: close\r\nContent-Length: 200000\r\n\r\n" + b"a" * 200_000, (413,),
        )
    answered = 0
    for what, (data, expected) in large.items():
        received = raw(server.port, data, timeout=2)
        # A server that closes while much is still on its way may lose its own answer to a reset.
        check(raw_status(received) in (0,) + expected, f"{what}: {received[:100]!r}")
        answered += received != b""
    check(answered > len(large) // 2, f"only {answered} of {len(large)} were answered")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for data in ("&".join("a=b" for _ in range(15_000)), "a" * 65_000, "&" * 65_000, "%41" * 20_000):
        equal(send("POST", server.origin + "/token", data, form).status, 400, data[:20])
    lab().alive()


@test("N-01: connections that say nothing, or say it slowly, keep nobody out")
def _():
    server = lab().server
    lab().alive()
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    try:
        for index, connection in enumerate(slow):
            connection.sendall(
                (b"", b"POST /mcp HTTP/1.1\r\nHost: x\r\nX: ", b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na=")[index % 3]
            )
        for _ in range(10):
            lab().alive()
    finally:
        for connection in slow:
            connection.close()
    lab().alive()


@test("T-13: who hangs up in the middle gets no second family of tokens, and the server goes on")
def _():
    client, server = lab().client(), lab().server
    for index in range(20):
        code, verifier = client.code(lab().browser())
        body = urllib.parse.urlencode({"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "client_id": client.id}).encode()
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing resets
            connection.sendall(
                request_bytes("POST", "/token", server, [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", len(body))], body)
            )
            time.sleep(0.002 * (index % 5))
        statuses = [client.redeem(code, verifier).status for _ in range(2)]
        check(statuses in ([200, 400], [400, 400]), f"after a reset: {statuses}")
    lab().alive()

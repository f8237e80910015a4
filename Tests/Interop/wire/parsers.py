"""Texts with two readings."""

import base64
import json
import unicodedata

from support import call, check, equal, modern_body, modern_headers, post_json, send, structured, test
from wire.lab import NFC, NFD, WEB, handshake, lab, register


def odd_json(text, member):
    """One document in forms that some parsers take and others do not."""
    def doubled(name):
        return text.replace("{", "{" + name + ":1,", 1).encode()

    return {
        "a member twice": doubled(f'"{member}"'), "a member twice, in disguise": doubled(f'"\\u{ord(member[0]):04x}{member[1:]}"'),
        "a trailing comma": text[:-1].encode() + b",}", "a BOM": b"\xef\xbb\xbf" + text.encode(), "UTF-16": text.encode("utf-16"),
        "UTF-16 without BOM": text.encode("utf-16-le"), "UTF-32": text.encode("utf-32"), "a comment": b"/**/" + text.encode(),
        "single quotes": text.replace('"', "'").encode(), "NaN": text[:-1].encode() + b',"x":NaN}',
        "Infinity": text[:-1].encode() + b',"x":-Infinity}', "a leading zero": text[:-1].encode() + b',"x":01}',
        "a plus sign": text[:-1].encode() + b',"x":+1}', "a lone surrogate": text[:-1].encode() + b',"x":"\\ud800"}',
        "broken UTF-8": text[:-1].encode() + b',"x":"\xff"}', "an overlong form": text[:-1].encode() + b',"x":"\xc0\xaf"}',
        "a surrogate in UTF-8": text[:-1].encode() + b',"x":"\xed\xa0\x80"}', "a raw line break": text[:-1].encode() + b',"x":"\n"}',
        "a NUL": text.encode() + b"\0", "two documents": text.encode() * 2, "an array": b"[" + text.encode() + b"]", "a number": b"1",
        "null": b"null", "nothing": b"", "spaces": b" \n ", "depth": text[:-1].encode() + b',"x":' + b"[" * 10000 + b"]" * 10000 + b"}",
        "never closed": b'{"a":' * 5000, "a no-break space": "\u00a0".encode() + text.encode(), "hex": text[:-1].encode() + b',"x":0x1}',
    }


@test("W-06, SF-7: a JSON document with two readings has none, for registration and for MCP")
def _():
    text = json.dumps({"redirect_uris": [WEB], "token_endpoint_auth_method": "none"})
    equal(register(text).status, 201, "the plain document")
    for what, body in odd_json(text, "redirect_uris").items():
        reply = register(body)
        check(reply.status == 400 and reply.error in ("invalid_client_metadata", "invalid_redirect_uri"), f"registration with {what}: {reply!r}")
    server, token = lab().server, lab().token()
    text = json.dumps(modern_body("tools/call", {"name": "whoami", "arguments": {}}))
    equal(post_json(server.url, text, modern_headers(token, "tools/call", "whoami")).status, 200, "the plain message")
    session = handshake(server, token).header("Mcp-Session-Id")
    for what, body in odd_json(text, "method").items():
        reply = post_json(server.url, body, modern_headers(token, "tools/call", "whoami"))
        equal((reply.status, reply.json["error"]["code"] in (-32700, -32600)), (400, True), f"MCP with {what} {reply!r}")
        reply = send("POST", server.url, body, {"Content-Type": "application/json", "Authorization": f"Bearer {token}", "Mcp-Session-Id": session})
        equal(reply.status, 400, f"MCP with a handshake, with {what}")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", "text/json", None):
        equal(send("POST", server.url, text, {**modern_headers(token, "tools/call", "whoami"), "Content-Type": kind}).status, 400, f"as {kind}")


@test("W-01, G-12: a name is its bytes: tools, scopes and states in other spellings are others")
def _():
    server, token = lab().server, lab().token()
    equal(call(server, token, "whoami").status, 200, "the name")
    for name in (
        "whoami\u0301", "Whoami", "WHOAMI", "whoami ", " whoami", "who\u00ad" + "ami", "\uff57hoami", "whoam\u0131", "whoami\0", "who", "whoami2",
        "create\u2010task", "create-tas\u212a", "", "../whoami",
    ):
        spelled = "=?base64?" + base64.b64encode(name.encode()).decode() + "?="
        reply = call(server, token, name, headers={"Mcp-Name": spelled})
        equal((reply.status, reply.json["error"]["code"]), (400, -32602), repr(name))
    made = [structured(call(server, token, "create-task", {"text": text}))["text"] for text in (NFC, NFD)]
    equal([text.encode() for text in made], [NFC.encode(), NFD.encode()], "texts come back byte for byte")
    check(unicodedata.normalize("NFC", NFD) == NFC, "the two spellings")
    for text, other in ((NFC, NFD), (NFD, NFC)):
        found = [task["text"].encode() for task in structured(call(server, token, "search-tasks", {"text": text, "limit": 100}))["tasks"]]
        check(text.encode() in found and other.encode() not in found, f"a search finds the spelling that was searched for: {found}")


@test("W-05: no number ends the process or changes on its way, in ids, arguments and registrations")
def _():
    server, token = lab().server, lab().token()

    def request(id_text, arguments="{}", tool="whoami"):
        text = json.dumps(modern_body("tools/call", {"name": tool, "arguments": "@"}, id="#")).replace('"@"', arguments).replace('"#"', id_text)
        return post_json(server.url, text, modern_headers(token, "tools/call", tool))

    for value in (
        "0", "1", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808", '"x"', '""', f'"{NFC}"', f'"{NFD}"', '"\\u0000"',
        '"' + "x" * 100_000 + '"',
    ):
        reply = request(value)
        equal(reply.status, 200, value[:40])
        check(reply.body.decode().count('"id":') >= 1 and reply.json["id"] == json.loads(value), f"id {value[:40]}: {reply.json['id']!r}")
    for value in (
        "1e300", "-1e300", "1e400", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "0.5", "1e-400", "true", "null", "[]",
        "{}", "-", "1e", "." + "1", "1" * 100_000,
    ):
        reply = request(value)
        check(reply.status == 400 or reply.status == 200 and reply.json["id"] is not None, f"id {value[:40]}: {reply!r}")
    for tool, arguments in [
        ("search-tasks", f'{{"limit":{n}}}')
        for n in (
            "0", "-1", "1e2", "1e300", "1e400", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "0.5", "true", '"5"', "null",
            "[]",
        )
    ] + [
        ("delete-task", f'{{"id":{n}}}') for n in ("-1", "1e300", "9223372036854775808", "9223372036854775807", "true", '"1"', "null", "1.5", "-0")
    ] + [
        (tool, text) for tool in ("search-tasks", "create-task", "delete-task", "whoami")
        for text in ("[]", "1", '"x"', "null", '{"x":1}', '{"text":{}}', '{"text":5,"id":[]}')
    ]:
        reply = request("1", arguments, tool)
        check(reply.status in (200, 400), f"{tool} {arguments}: {reply!r}")
    for number in ("1e300", "1e400", "-1", "9223372036854775808", "1" * 5000):
        text = f'{{"redirect_uris":["{WEB}"],"token_endpoint_auth_method":"none","default_max_age":{number},"x":{number}}}'
        check(register(text).status in (201, 400), f"registration with {number[:20]}")
        text = f'{{"redirect_uris":["{WEB}"],"token_endpoint_auth_method":{number}}}'
        equal(register(text).status, 400, f"registration with the method {number[:20]}")
    lab().alive()

"""Logs, audit logs and files; and the state of every server at the end."""

import base64
import json
import os
import re
import urllib.parse

from support import (
    PASSWORD, SECRETS, Browser, call, check, equal, modern_body, modern_headers, post_form, post_json, send,
    send_target, test,
)
from wire.lab import WEB, Lab, b64, lab, pages, sign_in_form, unb64


@test("L-02: whatever strangers call themselves, one event is one line of JSON")
def _():
    server = Lab.named("pages").server
    evil = [
        'ada\r\n{"action":"fake"}', "ada\rfake", "a\u2028b\u2029c\u0085d", "\x1b[31mred\x1b]0;title\x07", '","verdict":"allowed","x":"', "a\0b",
        "\u202e\u200f", "\x7f\x9b31m", "\ud7ff\uffff\U0010ffff",
    ]
    browser = Browser()
    form = sign_in_form(browser.get(server.origin + "/account"))
    token = pages().token()
    reached = 0
    for text in evil:
        plain = text.replace("\0", "")
        latin = plain.replace("\r", "").replace("\n", "").encode().decode("latin-1")
        browser.submit(server.origin + "/account", form, {"username": plain, "password": plain}, {"User-Agent": latin})
        reached += register_at(server, text).status == 201
        spelled = "=?base64?" + base64.b64encode(text.encode("utf-8", "surrogatepass")).decode() + "?="
        equal(call(server, token, text, headers={"Mcp-Name": spelled}).status, 400, "an unknown tool")
        post_json(server.url, modern_body(text), modern_headers(token, text) if text.isprintable() and text.isascii() else modern_headers(token, "x"))
        send("GET", pages().client("web").authorization_url(client_id=plain, scope=plain, resource=plain))
        send_target("127.0.0.1", server.port, "GET", "/" + urllib.parse.quote(text), headers={"User-Agent": latin, "X-Request-Id": latin})
        post_form(server.origin + "/token", {"grant_type": plain, "client_id": plain, "code": plain})
        post_form(server.origin + "/token", {"grant_type": "authorization_code", "client_id": plain, "code": plain})
        reply = call(server, "x." + b64(text.encode()) + ".y", "whoami")
        equal(reply.status, 401, "a token")
    check(reached > 0, "no such name was registered")
    seen = {event["action"] for event in server.audit()}
    check({"client.registered", "authorization.request", "client.authentication", "access"} <= seen, f"what was recorded: {seen}")


def register_at(server, name):
    return post_json(server.origin + "/register", {"redirect_uris": [WEB], "token_endpoint_auth_method": "none", "client_name": name})


@test("L-02: every line of every audit log is one event, in plain characters")
def _():
    lab().alive()
    for lab_ in Lab.all.values():
        lines = lab_.server.audit_lines()
        check(lines, "nothing was recorded")
        for line in lines:
            text = line.decode()
            equal(len(text.splitlines()), 1, f"lines in {text!r}")
            check(not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c in "\u2028\u2029" for c in text), f"a control character in {text!r}")
            event = json.loads(text)
            check({"time", "action", "verdict"} <= set(event) and event["verdict"] in ("allowed", "denied", "failed"), event)
            equal(event["action"] == "fake", False, "an event that a stranger wrote")
        check("\x1b" not in lab_.server.output(), "an escape sequence in the output")


@test("L-01, M-11, R15, R75: no secret is in a log, the metrics or a database")
def _():
    lab().alive()
    check(len(SECRETS) > 300, f"only {len(SECRETS)} secrets were seen")
    wanted = {text.encode() for text in SECRETS if len(text) >= 12}
    wanted |= {unb64(text) for text in SECRETS if len(text) == 43 and re.fullmatch(r"[A-Za-z0-9_-]{43}", text)}
    found = []
    for lab_ in Lab.all.values():
        server = lab_.server
        check(PASSWORD.encode() in json.dumps(PASSWORD).encode(), "the search itself")
        contents = {
            "stdout": read(server.folder, "stdout"), "stderr": read(server.folder, "stderr"), "metrics": send("GET", server.origin + "/metrics").body,
            "health": send("GET", server.origin + "/health").body,
        }
        contents |= {name: read(server.data, name) for name in os.listdir(server.data)}
        check({"audit.jsonl", "auth.db", "auth.db-wal", "tasks.db"} <= set(contents), sorted(contents))
        check(b"mcp_auth_events_total" in contents["metrics"], "metrics")
        check(b"user-" in contents["auth.db"] + contents["auth.db-wal"], "the database")
        for name, content in contents.items():
            found += [f"{name}: {secret[:4]!r}… ({len(secret)} bytes)" for secret in wanted if secret in content]
            if name in ("metrics", "health"):
                check(b"client-" not in content and b"user-" not in content and b"ada" not in content, f"{name} names clients or people")
    equal(found, [], "secrets that were written down")


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


@test("M-11: the data folder and everything in it is its owner's only")
def _():
    server = lab().server
    lab().alive()
    equal(oct(os.stat(server.data).st_mode & 0o777), "0o700", "the folder")
    open_to_others = {name: oct(os.stat(os.path.join(server.data, name)).st_mode & 0o777) for name in sorted(os.listdir(server.data))
                      if os.stat(os.path.join(server.data, name)).st_mode & 0o077}
    equal(open_to_others, {}, "files that others may open")


@test("L-04: errors name no path, no statement and no line of source")
def _():
    server = lab().server
    lab().alive()
    answers = [
        send("GET", server.origin + "/nothing"), send("POST", server.origin + "/token", "%"), send("GET", server.origin + "/authorize?client_id='"),
        post_json(server.url, "{", modern_headers(lab().token(), "x")), post_json(server.origin + "/register", "{"),
        send("POST", server.origin + "/sign-in", "x"), call(server, lab().token(), "delete-task", {"id": "x"}),
        send("GET", server.origin + "/authorize?" + "a" * 5000),
    ]
    for reply in answers:
        check(reply.status < 500, reply)
        check(not re.search(r"(?i)\.swift|sqlite|select |insert |/home/|/tmp/|/usr/|fatal|stack|hummingbird|nio", reply.text), reply.text[:500])
        check(not any(name.lower() in ("server", "x-powered-by") for name, _ in reply.headers), reply.headers)


@test("Q1, Q2, Q3: after everything: the same processes, no crash, no 5xx in what was counted, and an honest request succeeds")
def _():
    for name, lab_ in Lab.all.items():
        equal(lab_.server.process.poll(), None, f"server {name}")
        equal(lab_.server.pid, lab_.pid, f"process of server {name}")
        check("fatal error" not in lab_.server.output().lower() and "crash" not in lab_.server.output().lower(), lab_.server.output()[-400:])
        equal([event for event in lab_.server.audit(verdict="failed")], [], f"failures of server {name}")
        equal(send("GET", lab_.server.origin + "/health").status, 200, f"health of server {name}")
    lab().alive()
    access, refresh = lab().tokens()
    equal(call(lab().server, access, "whoami").status, 200, "a new token")
    equal(lab().client().refresh(refresh).status, 200, "a refresh")

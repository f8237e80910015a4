"""Servers, people, clients and tokens that many tests share, and tokens made by hand."""

import atexit
import base64
import json
import os
import secrets
import shutil
import socket
import sqlite3
import tempfile
import threading
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from support import (
    HANDSHAKE, Browser, Client, Forms, Server, call, check, equal, post_json, query_of, send, structured,
    visible_text,
)

WEB = "https://c.lab/cb"
NFC, NFD = "caf\u00e9", "cafe\u0301"


class Lab:
    """A server, people who have signed in at it, clients and tokens; each is made when it is first needed, since the server limits sign-ins."""

    all = {}

    def __init__(self, *options):
        self.server = Server(*options)
        self.pid = self.server.pid
        self.made = {}

    @classmethod
    def named(cls, name="main", *options):
        if name not in cls.all:
            cls.all[name] = cls(*options)
        return cls.all[name]

    def once(self, key, make):
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def browser(self, user="ada"):
        return self.once(("browser", user), lambda: Browser(user).sign_in(self.server.origin))

    def client(self, kind="public"):
        metadata = {
            "public": {},
            "other": {"client_name": "another client"},
            "web": {"redirect": WEB},
            "basic": {"redirect": WEB, "token_endpoint_auth_method": "client_secret_basic"},
            "post": {"redirect": WEB, "token_endpoint_auth_method": "client_secret_post"},
            "once": {"grant_types": ["authorization_code"]},
        }[kind]
        return self.once(("client", kind), lambda: Client(self.server, **metadata))

    def tokens(self, user="ada", kind="public", **changes):
        """A fresh access token and refresh token."""
        return self.client(kind).tokens(self.browser(user), **changes)

    def token(self, user="ada"):
        """An access token with every scope."""
        return self.once(("token", user), lambda: self.tokens(user)[0])

    def alive(self):
        """The honest request that every test begins or ends with."""
        equal(self.server.pid, self.pid, "the process")
        check(self.server.process.poll() is None, "the server has ended")
        return structured(call(self.server, self.token(), "whoami"))


def remove_all():
    for lab in Lab.all.values():
        lab.server.remove()


atexit.register(remove_all)


def lab():
    return Lab.named()


registrations = 0


def register(document):
    """An attempt to register. A server takes sixty at once, so these move on to a fresh one before that."""
    global registrations
    registrations += 1
    return post_json(registering_server().origin + "/register", document)


def registering_server():
    """The server that the last attempt to register went to."""
    return Lab.named(f"registrations {registrations // 55}").server


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(value):
    """A segment of a token, of JSON or of bytes as they are."""
    return b64(value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode())


def es256(key, message):
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def signed(header, payload, key):
    text = f"{encoded(header)}.{encoded(payload)}"
    signature = es256(key, text.encode()) if isinstance(key, ec.EllipticCurvePrivateKey) else key(text.encode())
    return f"{text}.{b64(signature)}"


def segments(token):
    header, payload, signature = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(payload)), unb64(signature)


def public_jwk(key):
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}


def database(server, name="auth.db"):
    """A copy of a database of the server, with its log, so that looking at it changes nothing."""
    folder = tempfile.mkdtemp(dir=server.folder)
    for suffix in ("", "-wal"):
        path = os.path.join(server.data, name + suffix)
        if os.path.exists(path):
            shutil.copy(path, folder)
    return sqlite3.connect(os.path.join(folder, name))


def issuer_key(server):
    """The server's own signing key, opened with its master key as the server does it.

    Whatever is signed with it differs from a real token in nothing but the claim that a test is about, so a refusal is for that claim.
    """
    with open(os.path.join(server.data, "master.key"), "rb") as file:
        master = file.read()
    sealer = AESGCM(HKDF(hashes.SHA256(), 32, None, b"mcp-auth signing keys").derive(master))
    with database(server) as connection:
        key_id, sealed = connection.execute("SELECT id, sealed FROM signing_keys").fetchone()
    return serialization.load_pem_private_key(sealer.decrypt(sealed[:12], sealed[12:], f"{server.origin} {key_id}".encode()), None)


def refused(server, token, what, status=(401,)):
    """The token is not taken, the answer is in the protocol's words, and nothing of the token is in it."""
    reply = call(server, token, "whoami")
    check(reply.status in status, lambda: f"{what}: expected {status}, found {reply!r}")
    if reply.status == 401:
        challenge = reply.header("WWW-Authenticate") or ""
        check(challenge.startswith("Bearer ") and 'error="invalid_token"' in challenge and "resource_metadata=" in challenge, f"{what}: {challenge}")
        equal(reply.error, "invalid_token", what)
    parts = [part for part in token.split(".") if len(part) > 12]
    check(not any(part in reply.text + str(reply.headers) for part in parts), f"{what}: the answer repeats the token")


class Canary:
    """A port that counts who comes by."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.visits = 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()


def aging():
    """A refresh token that was used, and a token that expires in a second but was taken before: (client, R1, R2, token, when)."""

    def make():
        server, client = lab().server, lab().client("other")
        _, first = client.tokens(lab().browser())
        second = client.refresh(first).json["refresh_token"]
        header, claims, _ = segments(lab().token())
        short = signed(header, {**claims, "exp": int(time.time()) + 1, "jti": "short." + secrets.token_hex(8)}, issuer_key(server))
        equal(call(server, short, "whoami").status, 200, "a token that will expire")
        return client, first, second, short, time.monotonic()

    return lab().once("aging", make)


def wait_until(age, since):
    time.sleep(max(0, since + age - time.monotonic()))


def request_bytes(method, target, server, headers=(), body=b"", host=None):
    lines = [f"{method} {target} HTTP/1.1"]
    host = f"127.0.0.1:{server.port}" if host is None else host
    lines += [f"Host: {host}"] if host else []
    lines += [f"{name}: {value}" for name, value in headers] + ["Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


def handshake(server, token, session=None, method="initialize", params=None, verb="POST", headers=None):
    """One request on the wire with a handshake."""
    all_headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": HANDSHAKE,
                   "Authorization": f"Bearer {token}" if token else None, "Mcp-Session-Id": session, **(headers or {})}
    params = params or {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) if verb == "POST" else None
    return send(verb, server.url, body, {name: value for name, value in all_headers.items() if value is not None})


def open_page(client, raw_query=None, browser=None, **changes):
    """The answer to an authorization request of somebody who is signed in already."""
    browser = browser or lab().browser()
    url = client.authorization_url(**changes)
    if raw_query is not None:
        url = url.split("?")[0] + "?" + raw_query
    return browser.get(url, headers={"Sec-Fetch-Site": "none"})


def told(reply, client, what, by=None):
    """The error that a client gets, "by" a redirect, or by the link on a page for the person to decide (Z-08); without `by`, by whichever of the two."""
    if by == "redirect" or (by is None and reply.status == 303):
        equal(reply.status, 303, f"{what} {visible_text(reply.text)[:200]}")
        location = reply.header("Location")
        equal(location.split("?")[0], client.redirect, f"{what}: where the error goes")
    else:
        equal(reply.status, 400, f"{what} {visible_text(reply.text)[:200]}")
        equal(reply.header("Location"), None, what)
        links = [link for link in Forms(reply.text).links if link.split("?")[0] == client.redirect]
        equal(len(links), 1, f"{what}: links back to the client")
        location = links[0]
    parameters = query_of(location)
    equal(parameters["iss"], client.server.origin, f"{what}: iss")
    check("code" not in parameters, what)
    return parameters


def denied(reply, error="invalid_grant", status=400, what=""):
    equal((reply.status, reply.error), (status, error), f"{what} {reply!r}")
    equal(reply.header("Cache-Control"), "no-store", what)
    equal(reply.header("Content-Type"), "application/json", what)
    check(set(reply.json) <= {"error", "error_description", "error_uri"}, reply.json)


def dead(access, refresh, client, what=""):
    """Neither token is worth anything."""
    refused(client.server, access, f"{what}: the access token")
    denied(client.refresh(refresh), what=f"{what}: the refresh token")


def pages():
    """A server of their own for tests that sign in often."""
    return Lab.named("pages")


def sign_in_form(page):
    return next(form for form in Forms(page.text).forms if "password" in form["types"].values())

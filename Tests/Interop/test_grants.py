"""Grants without a browser, proofs of keys, and the command line, with software that nobody here wrote: the official SDK's providers, PyJWT, cryptography."""

import asyncio
import base64
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.parse

import httpx2
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import Client as MCPClient
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider, PrivateKeyJWTOAuthProvider, SignedJWTParameters
from mcp.client.auth.extensions.identity_assertion import IdentityAssertionOAuthProvider
from mcp.client.auth import TokenStorage
from mcp.client.streamable_http import streamable_http_client

from support import (
    PASSWORD, SECRETS, Browser, Client, Forms, Server, call, check, equal, in_parallel, main, mcp, post_form, query_of, send, structured, test,
)

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class MemoryStorage(TokenStorage):
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


class Lab:
    server = None


def server():
    if Lab.server is None:
        Lab.server = Server()
    return Lab.server


def command(*words, stdin="", expect=0, data=None):
    """Runs mcp-auth on the data of the running server."""
    done = subprocess.run(
        [sys.argv[1], *words, "--data", data or server().data], input=stdin, capture_output=True, text=True, timeout=60)
    equal(done.returncode, expect, f"mcp-auth {' '.join(words)}: {done.stdout[-300:]} {done.stderr[-300:]}")
    return done.stdout


def add_client(name, *options):
    made = json.loads(command("clients", "add", name, *options, "--json"))
    if "client_secret" in made:
        SECRETS.add(made["client_secret"])
    return made.get("client_secret")


def basic(name, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def token(fields, headers=None, origin=None):
    reply = post_form((origin or server().origin) + "/token", fields, headers)
    if reply.status == 200:
        SECRETS.add(reply.json["access_token"])
    return reply


class Key:
    """A P-256 key, and the proofs and assertions that are made with it."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self):
        return {k: v for k, v in json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.private.public_key())).items() if k in ("kty", "crv", "x", "y")}

    @property
    def pem(self):
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()

    @property
    def thumbprint(self):
        text = json.dumps({name: self.jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()

    def proof(self, method, url, access_token=None, **claims):
        payload = {"jti": secrets.token_urlsafe(12), "htm": method, "htu": url, "iat": int(time.time())}
        if access_token:
            payload["ath"] = base64.urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()).rstrip(b"=").decode()
        payload.update(claims)
        return jwt.encode(payload, self.private, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": self.jwk})




def who(provider):
    """Who the official SDK is, signed in by one of its providers."""

    async def ask():
        async with httpx2.AsyncClient(auth=provider, timeout=30) as http:
            async with MCPClient(streamable_http_client(server().url, http_client=http)) as client:
                result = await client.call_tool("whoami", {})
                check(not result.is_error, f"whoami: {result.content}")
                return result.structured_content

    return asyncio.run(ask())


# --- Machines -------------------------------------------------------------------------------------------------------------------------------------


@test("R83, R84: the official SDK's client credentials, with a secret, against a client that the command line registered")
def _():
    secret = add_client("robot", "--grant", "client_credentials", "--scope", "read:tasks")
    found = who(ClientCredentialsOAuthProvider(server().url, MemoryStorage(), "robot", secret, issuer=server().origin))
    equal((found["subject"], found["client"], found["scopes"]), ("robot", "robot", ["read:tasks"]), "who")
    reply = token({"grant_type": "client_credentials", "scope": "delete:tasks"}, basic("robot", secret))
    equal((reply.status, reply.error), (400, "invalid_scope"), "more than it was given")


@test("R83, R127, R46: the official SDK's private_key_jwt")
def _():
    key = Key()
    path = os.path.join(server().folder, "robot.jwks")
    with open(path, "w") as file:
        json.dump({"keys": [key.jwk]}, file)
    equal(add_client("keyed", "--grant", "client_credentials", "--scope", "read:tasks", "--keys", path), None, "no secret")
    parameters = SignedJWTParameters(issuer="keyed", subject="keyed", signing_key=key.pem, signing_algorithm="ES256")
    found = who(PrivateKeyJWTOAuthProvider(
        server().url, MemoryStorage(), "keyed", parameters.create_assertion_provider(), scope="read:tasks", issuer=server().origin))
    equal(found["subject"], "keyed", "who")
    now = int(time.time())
    claims = {"iss": "keyed", "sub": "keyed", "aud": server().origin, "iat": now, "exp": now + 60, "jti": secrets.token_hex(8)}
    form = {"grant_type": "client_credentials", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}

    def status(key=key, **changes):
        assertion = jwt.encode({**claims, **changes}, key.private, algorithm="ES256")
        return token({**form, "client_assertion": assertion}).status

    equal(status(), 200, "made by PyJWT")
    equal(status(), 401, "K-09: used before")
    equal(status(jti="2", aud=server().origin + "/token"), 401, "K-07: the token endpoint")
    equal(status(jti="3", aud=[server().origin, "https://evil.lab"]), 401, "K-07: two audiences")
    equal(status(jti="4", exp=now + 86400), 401, "K-08: a day")
    equal(status(key=Key(), jti="5"), 401, "K-08: another key")
    answers = in_parallel(20, lambda _: status(jti="race"))
    equal(sorted(set(answers)), [200, 401], "K-09: twenty at once")
    equal(answers.count(200), 1, "K-09: one of twenty")


@test("R86 to R93: the official SDK's identity assertion, with the demo's identity provider")
def _():
    secret = add_client("agent", "--grant", ASSERTION, "--authentication", "client_secret_post")
    with open(os.path.join(server().data, "demo-identity-provider.pem")) as file:
        provider = serialization.load_pem_private_key(file.read().encode(), None)

    def assertion(**changes):
        now = int(time.time())
        claims = {
            "iss": server().origin + "/demo-identity-provider", "sub": "employee-1", "aud": server().origin, "client_id": "agent", "iat": now,
            "exp": now + 120, "jti": secrets.token_hex(8), "resource": server().url, "scope": "read:tasks", **changes,
        }
        typ = claims.pop("typ", "oauth-id-jag+jwt")
        return jwt.encode(claims, provider, algorithm="ES256", headers={"typ": typ, "kid": "demo"})

    async def fetch(audience, resource):
        equal((audience, resource), (server().origin, server().url), "what the SDK asks the provider for")
        return assertion()

    found = who(IdentityAssertionOAuthProvider(server().url, MemoryStorage(), "agent", secret, server().origin, fetch, scope="read:tasks"))
    check(found["subject"].startswith("user-") and found["scopes"] == ["read:tasks"], found)
    form, mine = {"grant_type": ASSERTION}, {"client_id": "agent", "client_secret": secret}
    for changes in ({"typ": "JWT"}, {"aud": server().origin + "/token"}, {"client_id": "robot"}, {"exp": 1}, {"resource": "https://evil.lab/"}):
        reply = token({**form, "assertion": assertion(**changes), **mine})
        equal((reply.status, reply.error), (400, "invalid_grant"), f"X-16: {changes}")
    once = assertion()
    answers = in_parallel(20, lambda _: token({**form, "assertion": once, **mine}).status)
    equal(answers.count(200), 1, "X-17: one of twenty")


@test("R110 to R115: a workload gets its token for what its platform says, without any client")
def _():
    with open(os.path.join(server().data, "demo-identity-provider.pem")) as file:
        platform = serialization.load_pem_private_key(file.read().encode(), None)

    def ask(**changes):
        now = int(time.time())
        claims = {
            "iss": server().origin + "/demo-platform", "sub": "demo-workload", "aud": server().origin, "iat": now, "exp": now + 120,
            "jti": secrets.token_hex(8), **changes,
        }
        form = {"grant_type": ASSERTION, "assertion": jwt.encode(claims, platform, algorithm="ES256", headers={"kid": "demo"}), "resource": server().url}
        return token(form)

    reply = ask()
    equal(reply.status, 200, f"workload {reply!r}")
    equal(structured(call(server(), reply.json["access_token"], "whoami"))["subject"], "workload:demo", "who")
    for changes in ({"sub": "other"}, {"iss": "https://evil.lab"}, {"aud": "x"}, {"exp": 1}):
        equal(ask(**changes).error, "invalid_grant", str(changes))


@test("R126: a resource server exchanges a token for one with less in it")
def _():
    secret = add_client("tasks-server", "--grant", EXCHANGE, "--introspects", server().url)
    access, _ = Client(server()).tokens(Browser(), scope="read:tasks write:tasks")
    form = {"grant_type": EXCHANGE, "subject_token": access, "subject_token_type": "urn:ietf:params:oauth:token-type:access_token", "resource": server().url}
    reply = token({**form, "scope": "read:tasks"}, basic("tasks-server", secret))
    equal(reply.status, 200, f"exchange {reply!r}")
    claims = jwt.decode(reply.json["access_token"], options={"verify_signature": False})
    equal((claims["scope"], claims["act"]["sub"]), ("read:tasks", "tasks-server"), "less, and who acts")
    check(claims["exp"] <= jwt.decode(access, options={"verify_signature": False})["exp"], "X-11: no longer life")
    equal(token({**form, "scope": "delete:tasks"}, basic("tasks-server", secret)).error, "invalid_scope", "X-11")
    equal(token({**form, "subject_token": "x"}, basic("tasks-server", secret)).error, "invalid_request", "X-10")
    for kind in (None, "application/token-introspection+jwt"):
        answer = post_form(server().origin + "/introspect", {"token": access}, {**basic("tasks-server", secret), **({"Accept": kind} if kind else {})})
        found = answer.json if kind is None else jwt.decode(answer.text, options={"verify_signature": False})["token_introspection"]
        equal(found["active"], True, f"introspection as {kind}")


@test("R85: the server declares the extensions of its authorization server; declaring them oneself opens nothing")
def _():
    access, _ = Client(server()).tokens(Browser())
    extensions = mcp(server(), access, "server/discover").json["result"]["capabilities"]["extensions"]
    equal(set(extensions), {"io.modelcontextprotocol/oauth-client-credentials", "io.modelcontextprotocol/enterprise-managed-authorization"}, "declared")
    capabilities = {"extensions": {name: {} for name in extensions}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": capabilities}}}
    headers = {"Content-Type": "application/json", "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "whoami"}
    equal(send("POST", server().url, json.dumps(body), headers).status, 401, "without a token")
    equal(send("POST", server().url, json.dumps(body), {**headers, "Authorization": f"Bearer {access}"}).status, 200, "with one")


# --- Devices --------------------------------------------------------------------------------------------------------------------------------------


@test("R125, X-08: a device, from its code to its tokens, with somebody at a browser")
def _():
    add_client("tv", "--grant", DEVICE, "--grant", "refresh_token", "--public")
    begun = post_form(server().origin + "/device_authorization", {"client_id": "tv", "scope": "read:tasks"}).json
    SECRETS.add(begun["device_code"])
    poll = {"grant_type": DEVICE, "client_id": "tv", "device_code": begun["device_code"]}
    equal(token(poll).error, "authorization_pending", "before anybody decided")
    equal(token(poll).error, "slow_down", "too soon")
    browser = Browser("grace").sign_in(server().origin)
    page = browser.get(begun["verification_uri_complete"])
    form = next(f for f in Forms(page.text).forms if f["action"] == "/device")
    equal(form["fields"]["user_code"], begun["user_code"], "the code is filled in")
    question = browser.submit(begun["verification_uri"], form)
    check(begun["user_code"] in question.text, "the question shows the code")
    decision = next(f for f in Forms(question.text).forms if f["action"] == "/device/decision")
    equal(browser.submit(server().origin, decision, {"decision": "allow"}).status, 200, "allowed")
    answers = in_parallel(20, lambda _: token(poll))
    good = [reply for reply in answers if reply.status == 200]
    equal(len(good), 1, "one of twenty")
    tokens = good[0].json
    check(structured(call(server(), tokens["access_token"], "whoami"))["scopes"] == ["read:tasks"], "its scope")
    equal(token({"grant_type": "refresh_token", "client_id": "tv", "refresh_token": tokens["refresh_token"]}).status, 200, "refresh")


# --- Pushed requests, OpenID ----------------------------------------------------------------------------------------------------------------------


@test("R124: a pushed request, and an ID token that PyJWT verifies with the published keys")
def _():
    client = Client(server())
    url = client.authorization_url(verifier := secrets.token_urlsafe(48), scope="openid profile read:tasks", nonce="n-1")
    SECRETS.add(verifier)
    pushed = post_form(server().origin + "/par", query_of(url))
    equal(pushed.status, 201, f"push {pushed!r}")
    short = {"client_id": client.id, "request_uri": pushed.json["request_uri"]}
    browser = Browser()
    location = browser.authorize(server().origin + "/authorize?" + urllib.parse.urlencode({**short, "redirect_uri": client.redirect}))
    reply = client.redeem(query_of(location)["code"], verifier)
    equal(reply.status, 200, f"redeem {reply!r}")
    keys = jwt.PyJWKSet.from_dict(send("GET", server().origin + "/jwks").json)
    text = reply.json["id_token"]
    key = next(k for k in keys.keys if k.key_id == jwt.get_unverified_header(text)["kid"])
    claims = jwt.decode(text, key, algorithms=["ES256"], audience=client.id, issuer=server().origin)
    equal((claims["nonce"], claims["preferred_username"]), ("n-1", "ada"), "what it says")
    info = send("GET", server().origin + "/userinfo", headers={"Authorization": "Bearer " + reply.json["access_token"]})
    equal((info.status, info.json["sub"]), (200, claims["sub"]), "userinfo")
    equal(call(server(), text, "whoami").status, 401, "J-19: an ID token is no access token")
    again = send("GET", server().origin + "/authorize?" + urllib.parse.urlencode(short))
    check(again.status == 400 and "invalid_request_uri" in again.text, "X-01: used")


# --- Proofs of keys -------------------------------------------------------------------------------------------------------------------------------


@test("R104 to R108, X-04, X-05, X-06: tokens bound to a key, with proofs that PyJWT made")
def _():
    key, other = Key(), Key()
    client = Client(server())
    code, verifier = client.code(Browser(), scope="read:tasks")
    form = {
        "grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": client.redirect, "client_id": client.id,
    }
    endpoint = server().origin + "/token"
    bad = token(form, {"DPoP": key.proof("GET", endpoint)})
    equal((bad.status, bad.error), (400, "invalid_dpop_proof"), "another method")
    reply = token(form, {"DPoP": key.proof("POST", endpoint)})
    equal((reply.status, reply.json["token_type"]), (200, "DPoP"), "bound")
    access, refresh = reply.json["access_token"], reply.json["refresh_token"]
    SECRETS.add(refresh)
    equal(jwt.decode(access, options={"verify_signature": False})["cnf"]["jkt"], key.thumbprint, "to this key")

    def use(proof, scheme="DPoP"):
        return call(server(), None, "whoami", headers={"Authorization": f"{scheme} {access}", **({"DPoP": proof} if proof else {})})

    once = key.proof("POST", server().url, access)
    equal(use(once).status, 200, "with its proof")
    equal(use(once).status, 401, "X-05: twice")
    answers = in_parallel(20, lambda _, proof=key.proof("POST", server().url, access): use(proof).status)
    equal(answers.count(200), 1, "X-05: of twenty at once")
    equal(use(key.proof("POST", server().url.upper().replace("/MCP", "/mcp").replace("HTTP", "http"), access)).status, 200, "the same URL")
    for what, proof in {
        "another key": other.proof("POST", server().url, access), "another method": key.proof("GET", server().url, access),
        "another URL": key.proof("POST", server().origin + "/other", access), "another token": key.proof("POST", server().url, "other"),
        "no hash": key.proof("POST", server().url), "the server's endpoint": key.proof("POST", endpoint, access),
        "an hour old": key.proof("POST", server().url, access, iat=int(time.time()) - 3600),
        "an hour ahead": key.proof("POST", server().url, access, iat=int(time.time()) + 3600), "none": None,
    }.items():
        check(use(proof).status in (400, 401), what)
    bare = use(None, "Bearer")
    equal(bare.status, 401, "J-21: as a bearer token")
    check(bare.header("WWW-Authenticate").startswith("Bearer ") and any(v.startswith("DPoP ") for v in bare.all("WWW-Authenticate")), "both schemes")
    again = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": client.id}
    equal(token(again).error, "invalid_grant", "X-06: a refresh without the key")
    equal(token(again, {"DPoP": other.proof("POST", endpoint)}).error, "invalid_grant", "X-06: a refresh with another key")
    equal(token(again, {"DPoP": key.proof("POST", endpoint)}).status, 200, "a refresh with the key")


# --- The command line -----------------------------------------------------------------------------------------------------------------------------


@test("the command line beside a running server: what it changes counts there within seconds, and everything is in the audit log")
def _():
    command("users", "add", "alan", stdin="turing-machine-1\n")
    SECRETS.add("turing-machine-1")
    access, refresh = Client(server()).tokens(Browser("alan", "turing-machine-1"))
    equal(call(server(), access, "whoami").status, 200, "alan")
    grants = json.loads(command("grants", "list", "--user", "alan", "--json"))
    equal(len(grants), 1, "grants of alan")
    command("grants", "revoke", grants[0]["grant"])
    wait(lambda: call(server(), access, "whoami").status == 401, "the grant is over")
    access, refresh = Client(server()).tokens(Browser("alan", "turing-machine-1"))
    command("users", "disable", "alan")
    wait(lambda: call(server(), access, "whoami").status == 401, "alan is out")
    command("users", "enable", "alan")
    command("users", "password", "alan", stdin="turing-machine-2\n")
    SECRETS.add("turing-machine-2")
    Client(server()).tokens(Browser("alan", "turing-machine-2"))
    check(any(user["name"] == "alan" for user in json.loads(command("users", "list", "--json"))), "listed")
    equal(command("users", "disable", "nobody", expect=64), "", "nobody of this name")
    equal(command("users", "add", "alan", stdin="another-one-1\n", expect=64), "", "a name that is taken")
    equal(command("users", "add", "x", stdin="short\n", expect=64), "", "a password that is too short")
    secret = add_client("backend", "--grant", "client_credentials", "--scope", "read:tasks")
    fields = {"grant_type": "client_credentials"}
    fresh = json.loads(command("clients", "rotate-secret", "backend", "--overlap", "0", "--json"))["client_secret"]
    SECRETS.add(fresh)
    equal([token(fields, basic("backend", s)).status for s in (secret, fresh)], [401, 200], "K-11: a rotated secret")
    command("clients", "disable", "backend")
    equal(token(fields, basic("backend", fresh)).status, 401, "K-11: disabled")
    command("clients", "enable", "backend")
    equal(token(fields, basic("backend", fresh)).status, 200, "enabled")
    command("clients", "remove", "backend")
    equal(token(fields, basic("backend", fresh)).status, 401, "removed")
    events = {event["action"] for event in server().audit()}
    for action in ("user.added", "user.disabled", "user.enabled", "user.password_changed", "client.added", "client.secret_rotated", "client.deleted"):
        check(action in events, f"no audit event {action}")
    equal(command("clients", "list", data="/nonexistent", expect=78), "", "no such folder")
    check("lines, all in order" in command("audit", "verify"), "two processes wrote one chain")


@test("one-time codes by the command line: asked for at the next sign-in, and good once")
def _():
    uri = command("users", "one-time-codes", "grace").strip()
    secret = base64.b32decode(re.search(r"secret=([A-Z2-7]+)", uri)[1])
    SECRETS.add(re.search(r"secret=([A-Z2-7]+)", uri)[1])

    def code():
        digest = __import__("hmac").new(secret, int(time.time() // 30).to_bytes(8, "big"), "sha1").digest()
        offset = digest[-1] & 15
        return f"{(int.from_bytes(digest[offset:offset + 4], 'big') & 0x7FFFFFFF) % 1000000:06}"

    browser = Browser("grace")
    page = browser.get(server().origin + "/account")
    form = next(f for f in Forms(page.text).forms if "password" in f["types"].values())
    half = browser.submit(server().origin + "/account", form, {"username": "grace", "password": PASSWORD})
    check(half.status == 200 and "mcp-auth-session" not in browser.cookies, "a password alone signs nobody in")
    form = next(f for f in Forms(half.text).forms if "code" in f["fields"])
    good = code()
    equal(browser.submit(server().origin + "/sign-in", form, {"code": f"{(int(good) + 1) % 1000000:06}"}).status, 401, "a wrong code")
    equal(browser.submit(server().origin + "/sign-in", form, {"code": good}).status, 303, "the code")
    equal(browser.submit(server().origin + "/sign-in", form, {"code": good}).status, 401, "used")
    command("users", "one-time-codes", "grace", "--off")


@test("O-01, 132: keys turned and replaced beside a running server: no token is refused in a turn, every old one in an emergency")
def _():
    client = Client(server())
    access, refresh = client.tokens(Browser())
    kid = jwt.get_unverified_header(access)["kid"]
    command("keys", "rotate")
    wait(lambda: len(send("GET", server().origin + "/jwks").json["keys"]) == 2, "the next key is published")
    reply = client.refresh(refresh)
    equal(jwt.get_unverified_header(reply.json["access_token"])["kid"], kid, "and does not sign yet")
    equal(call(server(), access, "whoami").status, 200, "the old token is good")
    key = Key()
    path = os.path.join(server().folder, "own.pem")
    with open(path, "w") as file:
        file.write(key.pem)
    command("keys", "import", path)

    def signer():
        nonlocal reply
        reply = client.refresh(reply.json["refresh_token"])
        return jwt.get_unverified_header(reply.json["access_token"])["kid"]

    wait(lambda: signer() == key.thumbprint, "an imported key signs")
    equal(call(server(), access, "whoami").status, 200, "the old token is good")
    command("keys", "rotate", "--emergency")
    wait(lambda: call(server(), access, "whoami").status == 401, "every old token is refused")
    wait(lambda: signer() not in (kid, key.thumbprint), "a new key signs")
    equal(call(server(), reply.json["access_token"], "whoami").status, 200, "and its tokens are good")


@test("M-09: after a restored backup nothing that was used or revoked since comes back")
def _():
    with Server() as lab:
        client = Client(lab)
        access, refresh = client.tokens(Browser())
        lab.stop()
        backup = os.path.join(lab.folder, "backup")
        subprocess.run(["cp", "-a", lab.data, backup], check=True)
        check(lab.start(), "it starts")
        revoked = client.tokens(Browser())
        client.revoke(refresh)
        equal(call(lab, access, "whoami").status, 401, "revoked")
        lab.stop()
        subprocess.run(["rm", "-rf", lab.data], check=True)
        subprocess.run(["cp", "-a", backup, lab.data], check=True)
        equal(command("grants", "end-all", data=lab.data, expect=64), "", "it asks whether that is meant")
        command("grants", "end-all", "--yes", data=lab.data)
        check(lab.start(), "it starts")
        for what, text in {"before the backup, revoked after": access, "after the backup": revoked[0]}.items():
            equal(call(lab, text, "whoami").status, 401, what)
        for what, text in {"before the backup, revoked after": refresh, "after the backup": revoked[1]}.items():
            equal(client.refresh(text).error, "invalid_grant", what)
        access, refresh = client.tokens(Browser())
        equal(call(lab, access, "whoami").status, 200, "and everybody can sign in again")


@test("the audit log: a line that is changed, taken out or added is found")
def _():
    path = os.path.join(server().data, "audit.jsonl")
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    copy = os.path.join(server().folder, "copy")
    os.makedirs(copy, exist_ok=True)
    subprocess.run(["cp", os.path.join(server().data, "auth.db"), copy], check=True)

    def verify(changed, expect, *options):
        with open(os.path.join(copy, "audit.jsonl"), "wb") as file:
            file.write(b"\n".join(changed))
        return json.loads(command("audit", "verify", "--json", *options, data=copy, expect=expect))

    head = verify(lines, 0)["head"]
    middle = len(lines) // 2
    changed = lines[:middle] + [lines[middle].replace(b'"allowed"', b'"refused"').replace(b'"denied"', b'"refused"')] + lines[middle + 1 :]
    equal([f["line"] for f in verify(changed, 1)["findings"]], [middle + 1], "a changed line")
    equal([f["line"] for f in verify(lines[:middle] + lines[middle + 1 :], 1)["findings"]], [middle + 1], "a missing line")
    check(verify(lines[:middle] + [lines[0]] + lines[middle:], 1)["findings"], "an added line")
    verify(lines[:-3] + [b""], 0)
    check(verify(lines[:-3] + [b""], 1, "--head", head)["findings"], "lines cut off at the end, by the head of before")
    check(not verify(lines, 0, "--head", head)["findings"], "a head that is there")
    check(verify(lines, 1, "--head", "-" + "A" * 42)["findings"], "a head that never was, and looks like an option")
    for nothing in ("", head[:-1], "--json", head + "A"):
        done = subprocess.run([server().binary, "audit", "verify", "--data", copy, "--head", nothing], capture_output=True, text=True)
        check(done.returncode == 64 and "43 characters" in done.stderr, f"{nothing}: {done.returncode} {done.stderr}")


@test("L-01, R96, R116: none of the secrets of these tests is in a log, a database or the metrics")
def _():
    texts = {"metrics": send("GET", server().origin + "/metrics").body, "output": server().output().encode()}
    for name in os.listdir(server().data):
        if name.endswith(".pem") or name == "master.key":
            continue
        with open(os.path.join(server().data, name), "rb") as file:
            texts[name] = file.read()
    check(len(SECRETS) > 20, "there were secrets")
    for name, text in texts.items():
        for secret in SECRETS:
            check(secret.encode() not in text, f"a secret of {len(secret)} characters is in {name}")


def wait(condition, what, seconds=12):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"{what}: not within {seconds} seconds")
        time.sleep(0.3)


if __name__ == "__main__":
    main("grants")

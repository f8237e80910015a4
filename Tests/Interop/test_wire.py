"""Attacks over real sockets, against a running server. The titles carry the numbers of the cases.

Every test first shows that the honest request works, so that a refusal means what it says. Nothing here depends on how long anything takes.
"""

import atexit
import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import socket
import sqlite3
import tempfile
import threading
import time
import unicodedata
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from support import (
    HANDSHAKE, PASSWORD, SECRETS, Browser, Client, Failure, Forms, Server, call, challenge_of, check, claims_of, encode_form, equal, in_parallel, main, mcp,
    modern_body, modern_headers, new_verifier, post_form, post_json, query_of, raw, raw_status, send, send_target, structured, test, visible_text,
)

WEB = "https://c.lab/cb"
NFC, NFD = "caf\u00e9", "cafe\u0301"


# --- Servers that many tests share ----------------------------------------------------------------------------------------------------------------


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
    return post_json(Lab.named(f"registrations {registrations // 55}").server.origin + "/register", document)


# --- Tokens made by hand --------------------------------------------------------------------------------------------------------------------------


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


# --- What takes time is begun at the start and looked at near the end -----------------------------------------------------------------------------


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


# --- Discovery ------------------------------------------------------------------------------------------------------------------------------------


@test("O-03, X-21: every document and every answer names the same issuer and resource, byte for byte")
def _():
    aging()
    server, token = lab().server, lab().token()
    resource = send("GET", server.origin + "/.well-known/oauth-protected-resource/mcp")
    equal((resource.status, resource.header("Content-Type")), (200, "application/json"), "resource metadata")
    equal(send("GET", server.origin + "/.well-known/oauth-protected-resource").body, resource.body, "the same at the root")
    equal(resource.json["resource"], server.url, "resource")
    equal(resource.json["authorization_servers"], [server.origin], "authorization_servers")
    equal(resource.json["bearer_methods_supported"], ["header"], "bearer methods")
    check("offline_access" not in resource.json["scopes_supported"], "offline_access is for clients to ask for")
    challenge = send("POST", server.url).header("WWW-Authenticate")
    check(f'resource_metadata="{server.origin}/.well-known/oauth-protected-resource/mcp"' in challenge, challenge)

    document = send("GET", server.origin + "/.well-known/oauth-authorization-server")
    equal((document.status, document.header("Content-Type")), (200, "application/json"), "server metadata")
    equal(send("GET", server.origin + "/.well-known/openid-configuration").body, document.body, "the same under the other name")
    metadata = document.json
    equal(metadata["issuer"], server.origin, "issuer")
    equal(metadata["code_challenge_methods_supported"], ["S256"], "PKCE")
    equal(metadata["authorization_response_iss_parameter_supported"], True, "RFC 9207")
    equal(metadata["response_types_supported"], ["code"], "response types")
    for name, value in metadata.items():
        if name.endswith(("_endpoint", "_uri")):
            check(value.startswith(server.origin + "/"), f"{name} is elsewhere: {value}")
            check(send("GET", value).status != 404, f"{name} is advertised and not there")

    claims = claims_of(token)
    equal((claims["iss"], claims["aud"]), (server.origin, server.url), "the token's issuer and audience")
    location = lab().browser().authorize(lab().client().authorization_url())
    equal(query_of(location)["iss"], server.origin, "iss of the authorization response")
    equal(lab().alive()["issuer"], server.origin, "issuer that a tool sees")


@test("O-03: the key set holds public keys only, and tokens are at+jwt signed by one of them")
def _():
    server, token = lab().server, lab().token()
    keys = send("GET", server.origin + "/jwks").json["keys"]
    check(keys, "there is no key")
    for key in keys:
        check(not {"d", "p", "q", "dp", "dq", "qi", "k", "oth"} & set(key), f"a private member: {sorted(key)}")
        check(key["kty"] in ("EC", "RSA", "OKP") and key["use"] == "sig", key)
    header, claims, _ = segments(token)
    equal(header["typ"], "at+jwt", "typ")
    key = next(key for key in keys if key["kid"] == header["kid"])
    equal(header["alg"], key["alg"], "alg")
    equal(public_jwk(issuer_key(server))["x"], key["x"], "the key that the tests sign with")
    equal(set(claims), {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope"}, "claims (RFC 9068)")
    check(0 < claims["exp"] - claims["iat"] <= 3600, "lifetime")


@test("X-21: what is not offered is not advertised and not there")
def _():
    server = lab().server
    metadata = send("GET", server.origin + "/.well-known/oauth-authorization-server").json
    equal(send("GET", metadata["jwks_uri"]).status, 200, "what is advertised")
    for name, path in (("pushed_authorization_request_endpoint", "/par"), ("device_authorization_endpoint", "/device_authorization"),
                       ("userinfo_endpoint", "/userinfo"), ("end_session_endpoint", "/logout")):
        if name not in metadata:
            equal(send("POST", server.origin + path).status, 404, name)
    client = lab().client()
    for grant in ("client_credentials", "password", "urn:ietf:params:oauth:grant-type:device_code",
                  "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        if grant not in metadata["grant_types_supported"]:
            reply = client.token(grant_type=grant, username="ada", password=PASSWORD)
            equal((reply.status, reply.error), (400, "unsupported_grant_type"), grant)


# --- J: tokens ------------------------------------------------------------------------------------------------------------------------------------


@test("J-01: an unsigned token is refused in all 24 forms")
def _():
    token = lab().token()
    lab().alive()
    header, claims, signature = segments(token)
    foreign = lab().token("grace").split(".")[2]
    count = 0
    for alg in ("none", "None", "NONE", "nOnE", "", None, "absent", ["none"]):
        changed = {**header, "alg": alg}
        if alg == "absent":
            del changed["alg"]
        for third in (".", "", "." + foreign):
            refused(lab().server, f"{encoded(changed)}.{encoded(claims)}{third}", f"alg {alg!r}, third part {third[:4]!r}", (401, 400))
            count += 1
    equal(count, 24, "combinations")


@test("J-02: the public key, in any encoding, is no HMAC secret")
def _():
    server = lab().server
    lab().alive()
    header, claims, _ = segments(lab().token())
    key = issuer_key(server)
    public = key.public_key()
    jwk = send("GET", server.origin + "/jwks").json["keys"][0]
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "as")])
    certificate = x509.CertificateBuilder(
        name, name, public, 1, datetime.datetime(2026, 1, 1), datetime.datetime(2036, 1, 1)).sign(key, hashes.SHA256())
    shapes = {
        "PEM": pem, "PEM without its last line feed": pem.rstrip(b"\n"), "PEM with CRLF": pem.replace(b"\n", b"\r\n"),
        "DER": public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        "the point": point, "the compressed point": public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint),
        "x and y": point[1:], "x": unb64(jwk["x"]), "x as text": jwk["x"].encode(), "y as text": jwk["y"].encode(),
        "JWK": json.dumps(jwk).encode(), "JWK, compact": json.dumps(jwk, separators=(",", ":")).encode(),
        "JWK as published": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        "certificate": certificate.public_bytes(serialization.Encoding.PEM), "kid": jwk["kid"].encode(), "nothing": b"",
    }
    for what, secret in shapes.items():
        for size in (256, 384, 512):
            for kid in (jwk["kid"], None):
                changed = {"alg": f"HS{size}", "typ": "at+jwt", **({"kid": kid} if kid else {})}
                sign = lambda text, secret=secret, size=size: hmac.new(secret, text, getattr(hashlib, f"sha{size}")).digest()
                refused(server, signed(changed, claims, sign), f"HS{size} with {what}")


@test("J-04: a key that the token brings along is not used, and nothing is fetched")
def _():
    server, canary = lab().server, Canary()
    header, claims, _ = segments(lab().token())
    equal(call(server, signed(header, claims, issuer_key(server)), "whoami").status, 200, "a token that the tests sign rightly")
    mine = ec.generate_private_key(ec.SECP256R1())
    url = f"http://127.0.0.1:{canary.port}/jwks"
    for kid in (header["kid"], "mine", None):
        for extra in ({}, {"jwk": public_jwk(mine)}, {"jku": url}, {"x5u": url}, {"x5c": ["MIIB"]}, {"jwk": public_jwk(mine), "jku": url}):
            changed = {**header, "kid": kid, **extra}
            if kid is None:
                del changed["kid"]
            refused(server, signed(changed, claims, mine), f"kid {kid}, {sorted(extra)}")
    equal(canary.visits, 0, "connections to the attacker")


@test("J-05: no kid leads to an empty key, a file, a query or an error")
def _():
    server = lab().server
    lab().alive()
    header, claims, _ = segments(lab().token())
    odd = ["../../../../dev/null", "x' UNION SELECT 'k", "", "k" * 6000, 1, [], {}, True, "a\0b", "__proto__", header["kid"] + "\u0301", "\r\nX: y"]
    for kid in odd:
        sign = lambda text: hmac.new(b"", text, hashlib.sha256).digest()
        refused(server, signed({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims, sign), f"HS256, kid {kid!r}"[:80])
        if isinstance(kid, str) and "\u0301" not in kid:
            refused(server, signed({**header, "kid": kid}, claims, ec.generate_private_key(ec.SECP256R1())), f"ES256, kid {kid!r}"[:80])
    refused(server, "A" * 60000 + ".e30.AA", "60 KB", (401, 400, 431, 413))


@test("J-06, J-08: extensions, encrypted tokens and compression bombs are refused, though rightly signed")
def _():
    server, key = lab().server, issuer_key(lab().server)
    header, claims, signature = segments(lab().token())
    equal(call(server, signed(header, claims, key), "whoami").status, 200, "without any of it")
    for extra in ({"crit": ["x"]}, {"crit": []}, {"crit": ["alg"]}, {"crit": ["exp", "exp"]}, {"crit": "b64"}, {"crit": ["b64"]}, {"b64": False},
                  {"b64": False, "crit": ["b64"]}, {"b64": True}, {"zip": "DEF"}, {"enc": "A256GCM"}):
        refused(server, signed({**header, **extra}, claims, key), str(extra))
    for outer in ({"alg": "dir", "enc": "A256GCM"}, {"alg": "RSA1_5", "enc": "A128CBC-HS256"}, {"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF"},
                  {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2147483647, "p2s": "AAAA"}, {"alg": "ECDH-ES", "enc": "A128GCM"}):
        refused(server, f"{encoded(outer)}.{b64(b'key')}.{b64(b'iv')}.{b64(bytes(1000))}.{b64(bytes(16))}", str(outer))


@test("J-09: signatures of zeros, of other lengths and in DER are refused")
def _():
    server, key = lab().server, issuer_key(lab().server)
    header, claims, _ = segments(lab().token())
    text = f"{encoded(header)}.{encoded(claims)}"
    good = es256(key, text.encode())
    equal(call(server, f"{text}.{b64(good)}", "whoami").status, 200, "the right signature")
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    edge = [value.to_bytes(32, "big") for value in (0, 1, n - 1, n, n + 1)]
    bad = {f"r {i}, s {j}": r + s for i, r in enumerate(edge) for j, s in enumerate(edge)}
    bad["DER"] = utils.encode_dss_signature(int.from_bytes(good[:32], "big"), int.from_bytes(good[32:], "big"))
    bad |= {"63 bytes": good[:63], "65 bytes": good + b"\0", "a zero before": b"\0" + good, "twice": good * 2, "1 byte": b"\0"}
    bad["swapped"] = good[32:] + good[:32]
    for what, signature in bad.items():
        refused(server, f"{text}.{b64(signature)}", what)


@test("J-12: a member that is there twice ends a token, though it is rightly signed")
def _():
    server, key = lab().server, issuer_key(lab().server)
    header, claims, _ = segments(lab().token())
    plain_header, plain = json.dumps(header), json.dumps(claims)
    equal(call(server, signed(plain_header.encode(), plain.encode(), key), "whoami").status, 200, "each once")
    for what, bad in {
        "alg none first": plain_header.replace("{", '{"alg":"none",', 1), "alg none last": plain_header[:-1] + ',"alg":"none"}',
        "alg escaped": plain_header[:-1] + ',"\\u0061lg":"ES256"}', "kid": plain_header[:-1] + ',"kid":"x"}',
    }.items():
        refused(server, signed(bad.encode(), plain.encode(), key), what)
    for what, bad in {
        "sub first": plain.replace("{", '{"sub":"admin",', 1), "sub last": plain[:-1] + ',"sub":"admin"}',
        "the same again": plain[:-1] + f',"iss":{json.dumps(claims["iss"])}}}',
        "aud escaped": plain[:-1] + f',"\\u0061ud":{json.dumps(claims["aud"])}}}', "scope": plain[:-1] + ',"scope":"admin"}',
        "deep inside": plain[:-1] + ',"x":{"a":1,"a":2}}',
    }.items():
        refused(server, signed(plain_header.encode(), bad.encode(), key), what)


@test("J-13: only the canonical spelling of a token is that token")
def _():
    server = lab().server
    token = lab().token()
    lab().alive()
    header, payload, signature = token.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    equal(unb64(twin), unb64(signature), "a signature with other trailing bits")
    variants = {
        "trailing bits": f"{header}.{payload}.{twin}", "padding": token + "=", "padding inside": f"{header}=.{payload}.{signature}",
        "two segments": f"{header}.{payload}", "four": token + ".x", "six": token + ".a.b.c", "no signature": f"{header}.{payload}.",
        "no header": f".{payload}.{signature}", "a dot before": "." + token, "a dot after": token + ".",
        "standard alphabet": f"{header}.{payload}.{signature[:-2]}+/", "space inside": f"{header}.{payload} .{signature}",
        "tab": token.replace(".", ".\t", 1), "quotes": f'"{token}"', "with a comma": token + ",x",
        "combining dot": f"{header}.\u0301{payload}.{signature}".encode().decode("latin-1"),
    }
    for what, bad in variants.items():
        refused(server, bad, what, (401, 400))
    equal(call(server, token, "whoami", headers={"Authorization": f"bEaReR {token}"}).status, 200, "the scheme is not case-sensitive")


@test("J-15, J-16: exp, nbf and iat are dates, must be there, and are kept")
def _():
    server, key = lab().server, issuer_key(lab().server)
    header, claims, _ = segments(lab().token())
    now = int(time.time())

    def token(**changes):
        payload = {name: value for name, value in {**claims, "iat": now, "exp": now + 60, **changes}.items() if value != "absent"}
        text = json.dumps(payload)
        for mark, number in (('"@1e300"', "1e300"), ('"@1e400"', "1e400"), ('"@NaN"', "NaN"), ('"@-0"', "-0")):
            text = text.replace(mark, number)
        return signed(header, text.encode(), key)

    for changes in ({}, {"exp": now + 60.5}, {"nbf": now - 1}, {"iat": "absent"}, {"nbf": now - 1.5}):
        equal(call(server, token(**changes), "whoami").status, 200, f"good dates {changes}")
    for value in (
        "absent", None, 0, -1, "9999999999", str(now + 60), True, [], {}, 1.5, "@1e300", "@1e400", "@NaN", "@-0", 2**63 - 1, 2**63, 2**53 + 2,
        99999999999999999999, -(2**63), now - 3600, now - 61, now + 10 * 86400,
    ):
        refused(server, token(exp=value), f"exp {value!r}")
    for name in ("nbf", "iat"):
        for value in (now + 86400, now + 120, "@1e300", "1", True, None, 2**63, []):
            refused(server, token(**{name: value}), f"{name} {value!r}")
    lab().alive()


@test("J-17, J-18: iss and aud are compared byte for byte, though everything else is right")
def _():
    server, key = lab().server, issuer_key(lab().server)
    header, claims, _ = segments(lab().token())

    def token(name, value):
        return signed(header, {key: value for key, value in {**claims, name: value}.items() if value != "absent"}, key)

    equal(call(server, token("aud", [server.url, "https://other.lab"]), "whoami").status, 200, "one of several audiences")
    origin, port = server.origin, server.port
    for value in (
        "absent", None, "", "https://other.lab", origin + "/", origin.upper(), origin + ".evil.lab", origin[:-1], [origin], [origin, "evil"],
        f"http://localhost:{port}", f"http://127.0.0.1:{port}\0", origin + "\u0301", " " + origin, {"0": origin}, 1,
    ):
        refused(server, token("iss", value), f"iss {value!r}")
    for value in ("absent", None, "", [], "https://other.lab/mcp", origin, lab().client().id, server.url + "-evil", origin + "/", server.url + "2",
                  server.url + "/", server.url + "/x", server.url.upper(), {"0": server.url}, [[server.url]], [1, server.url], server.url + "\0",
                  server.url.replace("mcp", "m%63p"), server.url + "\u0301", f"http://localhost:{port}/mcp", server.url + " x", 1):
        refused(server, token("aud", value), f"aud {value!r}")


@test("J-19, F-06, R98, R133: other kinds of JWT of the same key, refresh tokens, codes and cookies are no access tokens")
def _():
    server, key = lab().server, issuer_key(lab().server)
    header, claims, _ = segments(lab().token())
    for kind in ("at+jwt", "AT+JWT", "application/at+jwt"):
        equal(call(server, signed({**header, "typ": kind}, claims, key), "whoami").status, 200, kind)
    for kind in (
        "JWT", "jwt", "", "oauth-id-jag+jwt", "dpop+jwt", "logout+jwt", "token-introspection+jwt", "secevent+jwt", "at+jwt\0", "at+jwt ", "xat+jwt",
        "application/application/at+jwt", "text/at+jwt", None, 1, ["at+jwt"], "absent",
    ):
        changed = {name: value for name, value in {**header, "typ": kind}.items() if value != "absent"}
        refused(server, signed(changed, claims, key), f"typ {kind!r}")
    client = lab().client()
    code, _ = client.code(lab().browser())
    _, refresh = lab().tokens()
    for what, text in {"a code": code, "a refresh token": refresh, "the session": lab().browser().cookies["mcp-auth-session"],
                       "a client id": client.id, "the password": PASSWORD, "nothing": "x"}.items():
        refused(server, text, what)
    for empty in ("absent", "", None, 5):
        changed = {name: value for name, value in {**claims, "sub": empty, "client_id": empty}.items() if value != "absent"}
        refused(server, signed(header, changed, key), f"sub {empty!r}")


@test("J-18, M-07: a token of another server is refused, whoever asks for it")
def _():
    other = Lab.named("second")
    equal(call(other.server, other.token(), "whoami").status, 200, "at home")
    refused(lab().server, other.token(), "elsewhere")
    refused(other.server, lab().token(), "the other way round")
    header, claims, _ = segments(lab().token())
    foreign = ec.generate_private_key(ec.SECP256R1())
    refused(lab().server, signed(header, claims, foreign), "the same words by another key")
    refused(lab().server, signed(header, claims, issuer_key(other.server)), "the same words by the other server's key")


@test("J-21: a token that is bound to a key is no bearer token")
def _():
    server, key = lab().server, issuer_key(lab().server)
    header, claims, _ = segments(lab().token())
    equal(call(server, signed(header, claims, key), "whoami").status, 200, "not bound")
    for cnf in (
        {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}, {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}, {"unknown": 1}, {},
    ):
        refused(server, signed(header, {**claims, "cnf": cnf}, key), f"cnf {cnf}")


@test("J-24: scopes are whole words between single spaces")
def _():
    server, key = lab().server, issuer_key(lab().server)
    header, claims, _ = segments(lab().token())

    def status(**changes):
        payload = {name: value for name, value in {**claims, "scope": None, **changes}.items() if value is not None}
        return call(server, signed(header, payload, key), "search-tasks").status

    equal(status(scope="read:tasks"), 200, "the scope")
    equal(status(scope="other read:tasks"), 200, "the scope among others")
    equal(status(scope=["other", "read:tasks"]), 200, "in an array, as some issuers write it")
    for scope in (
        "", "read:tasks\tx", "read:tasks\u00a0x", "x\u2003read:tasks", "read:tasks\u0301", "read:tasksx", "READ:TASKS", "read", "*", "read:*",
        "read:tasks,x", ["read:tasks x"], [["read:tasks"]], [1], 1, {"read:tasks": True},
    ):
        check(status(scope=scope) in (401, 403), f"scope {scope!r} opens the door")


@test("J-23: a thousand tokens with keys nobody knows cost no honest request anything")
def _():
    server = lab().server
    header, claims, _ = segments(lab().token())
    mine = ec.generate_private_key(ec.SECP256R1())

    def work(index):
        if index == 0:
            return [call(server, lab().token(), "whoami").status for _ in range(50)]
        return [call(server, signed({**header, "kid": secrets.token_hex(8)}, claims, mine), "whoami").status for _ in range(140)]

    lab().alive()
    honest, *hostile = in_parallel(8, work)
    equal(set(honest), {200}, "honest requests")
    equal({status for statuses in hostile for status in statuses}, {401}, "hostile requests")


# --- R: the resource server and its transport -----------------------------------------------------------------------------------------------------


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


def request_bytes(method, target, server, headers=(), body=b"", host=None):
    lines = [f"{method} {target} HTTP/1.1"]
    host = f"127.0.0.1:{server.port}" if host is None else host
    lines += [f"Host: {host}"] if host else []
    lines += [f"{name}: {value}" for name, value in headers] + ["Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


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


def handshake(server, token, session=None, method="initialize", params=None, verb="POST", headers=None):
    """One request on the wire with a handshake."""
    all_headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": HANDSHAKE,
                   "Authorization": f"Bearer {token}" if token else None, "Mcp-Session-Id": session, **(headers or {})}
    params = params or {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) if verb == "POST" else None
    return send(verb, server.url, body, {name: value for name, value in all_headers.items() if value is not None})


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


# --- Z: the authorization endpoint ----------------------------------------------------------------------------------------------------------------


def open_page(client, raw_query=None, browser=None, **changes):
    """The answer to an authorization request of somebody who is signed in already."""
    browser = browser or lab().browser()
    url = client.authorization_url(**changes)
    if raw_query is not None:
        url = url.split("?")[0] + "?" + raw_query
    return browser.get(url, headers={"Sec-Fetch-Site": "none"})


def stays(reply, what, status=(400,)):
    """A page for the person at the browser; nothing is sent anywhere and nothing leads to a stranger."""
    check(reply.status in status, lambda: f"{what}: {reply!r}")
    equal(reply.header("Location"), None, what)
    links = Forms(reply.text).links
    check(not any(link.startswith(("http", "//", "\\", "javascript", "data")) or "evil" in link for link in links), f"{what}: {links}")


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


@test("Z-02, Z-05, R65, R100: a redirect_uri that is nearly the registered one is not it")
def _():
    client = lab().client("web")
    equal(open_page(client).status, 200, "the registered one")
    for uri in (
        "https://c.lab/cb/", "https://c.lab/cb/x", "https://c.lab/cb/../x", "https://c.lab/./cb", "https://c.lab/cb?x", "https://c.lab/cb?",
        "https://c.lab/cb#f", "https://c.lab/cb#", "https://c.lab/CB", "https://c.lab/%63b", "https://c.lab//cb", "https://c.lab:443/cb",
        "https://c.lab:8443/cb", "https://c.lab./cb", "https://C.LAB/cb", "HTTPS://c.lab/cb", "http://c.lab/cb", "https://c.lab@evil.lab/cb",
        "https://evil.lab\\@c.lab/cb", "https://c.lab:80%25@evil.lab/cb", "https://c.lab%00.evil.lab/cb", "https://c.lab%2f@evil.lab/cb",
        "https://a@b@c.lab/cb", "https://user@c.lab/cb", " https://c.lab/cb", "https://c.lab/cb ", "\thttps://c.lab/cb", "https://c.lab/cb\n",
        "https://c.lab/cb\r\nX: y", "https://c.lab/..;/cb", "https://c.lab/cb;x", "https://c\uff0elab/cb", "https://c\u3002lab/cb",
        "https://c.lab.evil.lab/cb", "https://evil.lab/cb", "https://evil.lab/?https://c.lab/cb", "https://c.lab", "https://c.lab/", "//c.lab/cb",
        "/cb", "c.lab/cb", "https:c.lab/cb", "https:///c.lab/cb", "https://c.lab\\.evil.lab/cb", "https://c.lab/cb%00", "https://c.lab/cb%0d%0a",
        "https://c.lab/cb\u0301", "https://c.lab/cb%20", "https://sub.c.lab/cb", "*", "https://*/cb", "javascript:alert(1)", "data:text/html,x",
        "https://c.lab/cb,https://evil.lab/cb", "https://c.lab/cb https://evil.lab/cb",
    ):
        stays(open_page(client, redirect_uri=uri), repr(uri))
    for bad in ("%ff", "https%3A%2F%2Fc.lab%2Fcb%00", "https%3A%2F%2Fc.lab%2Fcb%", "https%3A%2F%2Fc.lab%2Fcb%zz"):
        query = client.authorization_url(redirect_uri=None).split("?")[1] + "&redirect_uri=" + bad
        stays(open_page(client, query), bad)


@test("Z-03: NFC and NFD are two spellings, for redirect URIs, clients, scopes and resources")
def _():
    server, client = lab().server, lab().client()
    equal(open_page(client).status, 200, "plain")
    for text in (NFC, NFD):
        reply = register({"redirect_uris": [f"https://c.lab/{text}"], "token_endpoint_auth_method": "none"})
        equal((reply.status, reply.error), (400, "invalid_redirect_uri"), "a redirect URI that is not ASCII")
    stays(open_page(client, client_id=client.id + "\u0301"), "client_id")
    stays(open_page(client, client_id=client.id.replace("c", "\uff43", 1)), "client_id in full width")
    for scope in ("read:tasks\u0301", "read:tas\u212as"):
        equal(told(open_page(client, scope=scope), client, "scope")["error"], "invalid_scope", f"scope {scope!r} is no scope token")
    equal(told(open_page(client, resource=server.url + "\u0301"), client, "resource")["error"], "invalid_target", "resource")


@test("Z-04: of a loopback redirect URI only the port may vary")
def _():
    client = Client(lab().server, "http://127.0.0.1/cb")
    for port in ("", ":1", ":3030", ":65535", ":80"):
        equal(open_page(client, redirect_uri=f"http://127.0.0.1{port}/cb").status, 200, f"port {port}")
    for uri in (
        "http://localhost:3030/cb", "http://[::1]:3030/cb", "http://127.0.0.2:3030/cb", "http://127.1:3030/cb", "http://0.0.0.0:3030/cb",
        "http://[::ffff:127.0.0.1]:3030/cb", "http://[::1%25lo]:3030/cb", "http://127.0.0.1.evil.lab:3030/cb", "http://127.0.0.1:3030@evil.lab/cb",
        "http://127.0.0.1:3030/other", "http://127.0.0.1:3030/cb/", "https://127.0.0.1:3030/cb", "http://127.0.0.1:0/cb", "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:99999/cb", "http://127.0.0.1:+80/cb", "http://127.0.0.1:080/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:3030/cb?x=y",
        "http://127.0.0.1:3030/cb#x", "http://0x7f000001:3030/cb", "http://2130706433:3030/cb", "http://\u2460\u2461\u2466.0.0.1/cb",
        "HTTP://127.0.0.1:3030/cb", "http://127.0.0.1:3030\\@evil.lab/cb", "http://user@127.0.0.1:3030/cb", "http://127.0.0.1:3030/%63b",
    ):
        stays(open_page(client, redirect_uri=uri), uri)


@test("Z-06: a parameter that is there twice is an error, whichever comes first")
def _():
    client = lab().client("web")
    good = client.authorization_url().split("?")[1]
    equal(open_page(client, good).status, 200, "each once")
    for name, other in (
        ("client_id", lab().client("public").id), ("redirect_uri", "https://evil.lab/cb"), ("state", "other"), ("response_type", "token"),
        ("scope", "read:tasks"), ("code_challenge", "A" * 43), ("code_challenge_method", "plain"), ("unknown", "x"),
    ):
        pair = f"{name}={urllib.parse.quote(other, safe='')}"
        same = next((part for part in good.split("&") if part.startswith(name + "=")), pair)
        disguised = pair.replace(name, "%" + format(ord(name[0]), "02x") + name[1:], 1)
        for query in (
            [f"{good}&{pair}", f"{pair}&{good}", f"{good}&{same}", f"{good}&{disguised}"] if name != "unknown" and name != "scope"
            else [f"{good}&{pair}&{pair}"]
        ):
            reply = open_page(client, query)
            equal((reply.status, reply.header("Location")), (400, None), f"{name}: {query[-80:]}")
            check("evil" not in str(Forms(reply.text).links), name)
    two = Client(lab().server, "https://c.lab/1", redirect_uris=["https://c.lab/1", "https://c.lab/2"])
    stays(open_page(two, redirect_uri=None), "no redirect_uri where two are registered")
    body = urllib.parse.urlencode({"client_id": client.id, "redirect_uri": "https://evil.lab/cb"})
    reply = lab().browser().request(
        "POST", lab().server.origin + "/authorize?" + good, {"client_id": client.id, "redirect_uri": "https://evil.lab/cb"},
    )
    stays(reply, f"query and body: {body}")


@test("Z-07, D-03: script and local schemes are refused at registration and at the authorization endpoint")
def _():
    good = Client(lab().server, "com.example.app:/callback")
    equal(send("GET", good.authorization_url()).status, 200, "an app's own scheme in reverse domain form")
    equal(send("GET", Client(lab().server, "cursor://anysphere.cursor-mcp/oauth/callback").authorization_url()).status, 200, "an app's, without a dot")
    for uri in (
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "%6aavascript:alert(1)", "data:text/html,x",
        "vbscript:x", "file:///etc/passwd", "blob:https://c.lab/x", "about:blank", "view-source:https://c.lab/", "intent://x#Intent;end", "intent:/cb", "mailto:a@c.lab", "chrome://settings",
        "http://c.lab/cb", "https://*/cb", "https://*.c.lab/cb", "https://c.lab/cb#f", "https://u:p@c.lab/cb", "/cb", "", "https://10.0.0.1/cb",
        "https://169.254.169.254/cb", "https://[fd00::1]/cb", "http://127.0.0.1.evil.lab/cb", "http://localhost.evil.lab/cb",
        "https://c.lab\\@evil.lab/", "https://2130706433/", "javascript.x:alert(1)//\n", "https://c.lab/cb\r\nX: y", "a.b:alert(1)\u0301",
    ):
        reply = register({"redirect_uris": [uri], "token_endpoint_auth_method": "none"})
        equal((reply.status, reply.error), (400, "invalid_redirect_uri"), repr(uri))
        reply = send("GET", good.authorization_url(redirect_uri=uri))
        if uri:
            stays(reply, f"{uri!r} at /authorize")
    for uris in ([], None, "https://c.lab/cb", {}, [1], [None], [["https://c.lab/cb"]], ["https://c.lab/cb"] * 33, "absent", True):
        document = {"token_endpoint_auth_method": "none", **({"redirect_uris": uris} if uris != "absent" else {})}
        equal(register(document).status, 400, f"redirect_uris {uris!r}"[:80])


@test("Z-08, R59: an error never sends the browser to a client that nobody checked")
def _():
    client = Client(lab().server, "https://phish.lab/cb")
    equal(open_page(client).status, 200, "an honest request")
    errors = (
        ("scope", {"scope": 'a"b'}, "invalid_scope"), ("prompt none", {"prompt": "none"}, "consent_required"),
        ("response type", {"response_type": "token"}, "unsupported_response_type"),
        ("resource", {"resource": "https://evil.lab/mcp"}, "invalid_target"), ("PKCE", {"code_challenge": None}, "invalid_request"),
        ("prompt", {"prompt": "none login"}, "invalid_request"), ("max_age", {"max_age": "-1"}, "invalid_request"),
        ("request", {"request": "x.y.z"}, "invalid_request"), ("request_uri", {"request_uri": "https://evil.lab/r"}, "invalid_request"),
    )

    def all_told(client, browser, by):
        for what, changes, error in errors:
            parameters = told(open_page(client, state="s1", browser=browser, **changes), client, what, by)
            equal((parameters["error"], parameters["state"]), (error, "s1"), what)

    all_told(client, lab().browser(), "link")
    equal(told(open_page(client, browser=Browser(), prompt="none"), client, "nobody", "link")["error"], "login_required", "nobody signed in")
    for uri in ("http://127.0.0.1:7777/cb", "com.example.app:/cb", "cursor://anysphere.cursor-mcp/oauth/callback"):
        local = Client(lab().server, uri)
        for browser in (Browser(), lab().browser()):
            found = told(open_page(local, browser=browser, response_type="token"), local, uri, "redirect")
            equal(found["error"], "unsupported_response_type", f"{uri}: this computer is nobody's site")
    client.tokens(lab().browser())
    all_told(client, lab().browser(), "redirect")
    for browser in (Browser(), lab().browser("grace")):
        told(open_page(client, browser=browser, response_type="token"), client, "ada approved it, and nobody else did", "link")
    for changes in (
        {"client_id": "client-unknown"}, {"client_id": None}, {"client_id": "https://evil.lab/client.json"}, {"client_id": "x" * 5000},
        {"client_id": "\r\nX: y"}, {"redirect_uri": "https://evil.lab/cb"},
    ):
        stays(open_page(client, **changes), str(changes)[:80])


@test("Z-10: state comes back byte for byte, and iss is in every answer")
def _():
    client, browser = lab().client("web"), lab().browser()
    states = [
        "plain", 'a+b&c=d%25\u00e9"<>~', NFC, NFD, "a b", "\u00fc\U0001f511\u202e", "x=y&code=evil&iss=https://evil.lab", "%0d%0aX: y",
        "\r\nSet-Cookie: a=b", "#frag?query/..", "'\\`{}|^", "s" * 2048, "\u00e9\"<" * 512, "\x01" * 2048,
    ]
    for state in states:
        decisions = {}
        for decision in ("allow", "deny"):
            page = open_page(client, state=state)
            form = next(form for form in Forms(page.text).forms if any(name == "decision" for name, _ in form["buttons"]))
            reply = browser.submit(client.server.origin + "/consent", form, {"decision": decision})
            equal(reply.status, 303, f"{decision} with state {state[:40]!r}")
            query = reply.header("Location").partition("?")[2]
            pairs = [part.partition("=") for part in query.split("&")]
            found = {name: urllib.parse.unquote_to_bytes(value) for name, _, value in pairs}
            equal(len(found), len(pairs), "each parameter once")
            equal(found["state"], state.encode(), f"{decision}: state")
            equal(found["iss"], client.server.origin.encode(), "iss")
            decisions[decision] = set(found)
        equal(decisions, {"allow": {"code", "state", "iss"}, "deny": {"error", "error_description", "state", "iss"}}, "parameters")
        equal(told(open_page(client, state=state, prompt="none login"), client, "an error")["state"].encode(), state.encode(), "state in an error")
    page = open_page(client, state=None)
    location = browser.submit(client.server.origin + "/consent", Forms(page.text).forms[0], {"decision": "allow"}).header("Location")
    equal(set(query_of(location)), {"code", "iss"}, "without a state")
    for state in ("s" * 2049, "\u00e9" * 1025, "s" * 30000):
        stays(open_page(client, state=state), "a state that is too long")
    check(open_page(client, state="s" * 100_000).status in (400, 414, 431), "100 KB of state")
    query = client.authorization_url(state=None).split("?")[1]
    for bad in ("%ff", "%c3", "%ed%a0%80", "%c0%80", "%00"):
        stays(open_page(client, f"{query}&state={bad}"), f"state {bad}")


@test("Z-12: only the code flow, only in the query")
def _():
    client = lab().client("web")
    equal(open_page(client, response_mode="query").status, 200, "code in the query")
    for kind in ("token", "id_token", "code token", "code id_token", "none", "CODE", "", "code ", " code", "code\u0301", None):
        equal(told(open_page(client, response_type=kind), client, repr(kind))["error"], "unsupported_response_type", repr(kind))
    for mode in ("fragment", "web_message", "form_post", "jwt", "query.jwt", "QUERY"):
        equal(told(open_page(client, response_mode=mode), client, mode)["error"], "invalid_request", mode)


@test("Z-14: only the server's own resource, exactly, and tokens are for it")
def _():
    server, client = lab().server, lab().client()
    for changes in ({}, {"resource": None}):
        access, _ = lab().tokens(**changes)
        equal(claims_of(access)["aud"], server.url, f"audience with {changes}")
    for resource in (
        "https://evil.lab/mcp", server.origin, server.url + "//", server.url + "#f", server.url + "?x", "/mcp", server.url.upper(),
        server.url.replace("mcp", "%6dcp"), "mcp", f"http://localhost:{server.port}/mcp", server.url + "/..", server.url + " ",
    ):
        equal(told(open_page(client, resource=resource), client, resource)["error"], "invalid_target", resource)
    for resource in (server.url + "/", server.url.replace("http", "HTTP")):
        access, _ = lab().tokens(resource=resource)
        equal(claims_of(access)["aud"], server.url, f"{resource} is another spelling, and tokens carry the registered one")
    twice = client.authorization_url().split("?")[1] + "&resource=" + urllib.parse.quote(server.url, safe="")
    equal(open_page(client, twice).status, 200, "the same resource twice")
    two = client.authorization_url().split("?")[1] + "&resource=https%3A%2F%2Fevil.lab%2Fmcp"
    equal(told(open_page(client, two), client, "two resources")["error"], "invalid_target", "two resources")


@test("Z-16: codes are long, random, and say nothing of user and client")
def _():
    client, browser = lab().client(), lab().browser()
    codes = [client.code(browser)[0] for _ in range(20)]
    equal(len(set(codes)), 20, "different codes")
    check(all(len(unb64(code)) >= 16 for code in codes), codes[0])
    for position in range(6):
        check(len({code[position] for code in codes}) > 3, f"character {position} hardly changes")
    check(not any(text in code for code in codes for text in ("ada", "user", client.id[7:])), "a code tells")


@test("Z-17, W-05: prompt and max_age: silence is an error, old sign-ins count no more, no number ends the process")
def _():
    client = lab().client("web")
    equal(told(open_page(client, prompt="none"), client, "prompt none")["error"], "consent_required", "without consent")
    for changes in ({"max_age": "9999999999"}, {"max_age": "3600"}):
        check("decision" in open_page(client, **changes).text, f"{changes} asks for consent")
    for changes in ({"max_age": "0"}, {"prompt": "login"}, {"prompt": "select_account"}):
        check('type="password"' in open_page(client, **changes).text, f"{changes} asks for the password")
    for number in ("-1", "+5", "1e3", "1e20", "99999999999", "99999999999999999999", "0x10", "\u0663", " 5", "5 ", "1.5", "NaN", "5\u0301"):
        equal(told(open_page(client, max_age=number), client, number)["error"], "invalid_request", number)


# --- T: codes and the token endpoint --------------------------------------------------------------------------------------------------------------


def denied(reply, error="invalid_grant", status=400, what=""):
    equal((reply.status, reply.error), (status, error), f"{what} {reply!r}")
    equal(reply.header("Cache-Control"), "no-store", what)
    equal(reply.header("Content-Type"), "application/json", what)
    check(set(reply.json) <= {"error", "error_description", "error_uri"}, reply.json)


def dead(access, refresh, client, what=""):
    """Neither token is worth anything."""
    refused(client.server, access, f"{what}: the access token")
    denied(client.refresh(refresh), what=f"{what}: the refresh token")


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


# --- K: client authentication ---------------------------------------------------------------------------------------------------------------------


@test("K-01, K-02, K-04: a client authenticates in the one way that it registered")
def _():
    server, browser = lab().server, lab().browser()
    public, basic, post = lab().client("web"), lab().client("basic"), lab().client("post")
    for client in (public, basic, post):
        equal(client.tokens(browser)[0].count("."), 2, client.method)

    def attempt(client, fields, authorization=None):
        code, verifier = client.code(browser)
        fields = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": client.redirect, **fields}
        return post_form(server.origin + "/token", fields, {"Authorization": authorization} if authorization else {})

    def header(user, password, scheme="Basic "):
        return scheme + base64.b64encode(f"{user}:{password}".encode()).decode()

    right = header(basic.id, basic.secret)
    equal(attempt(basic, {}, right).status, 200, "Basic")
    equal(attempt(basic, {"client_id": basic.id}, right).status, 200, "Basic and the same client_id")
    equal(attempt(basic, {}, header(basic.id, basic.secret, "bAsIc ")).status, 200, "the scheme is not case-sensitive")
    wrong = [
        ("no secret", basic, {"client_id": basic.id}, None),
        ("secret in the body", basic, {"client_id": basic.id, "client_secret": basic.secret}, None),
        ("wrong secret", basic, {}, header(basic.id, "wrong")), ("empty secret", basic, {}, header(basic.id, "")),
        ("no colon", basic, {}, "Basic " + base64.b64encode(basic.id.encode()).decode()), ("bad base64", basic, {}, "Basic !!!"),
        ("nothing", basic, {}, "Basic "), ("another client's secret", basic, {}, header(basic.id, post.secret)),
        ("the secret with a mark", basic, {}, header(basic.id, basic.secret + "\u0301")),
        ("the secret in capitals", basic, {}, header(basic.id, basic.secret.swapcase())),
        ("the secret, then a colon", basic, {}, header(basic.id, basic.secret + ":")), ("a bearer token", basic, {}, f"Bearer {lab().token()}"),
        ("no client at all", public, {}, None), ("Basic where the body was registered", post, {}, header(post.id, post.secret)),
        ("wrong secret in the body", post, {"client_id": post.id, "client_secret": "x"}, None),
        ("no secret in the body", post, {"client_id": post.id}, None),
        ("a secret that nobody has", public, {"client_id": public.id, "client_secret": "junk"}, None),
        ("an unknown client", public, {"client_id": "client-unknown"}, None),
        ("an id with a mark", public, {"client_id": public.id + "\u0301"}, None),
        (
            "an assertion", basic,
            {"client_id": basic.id, "client_assertion": "x.y.z", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
            None,
        ),
    ]
    for what, client, fields, authorization in wrong:
        reply = attempt(client, fields, authorization)
        denied(reply, "invalid_client", 401, what)
        equal((reply.header("WWW-Authenticate") or "").startswith("Basic "), authorization is not None, f"{what}: a challenge")
    denied(attempt(basic, {"client_secret": basic.secret}, right), "invalid_request", what="two ways at once")
    denied(attempt(basic, {"client_id": post.id}, right), "invalid_request", what="two clients at once")
    denied(attempt(basic, {}, right + ", " + right), "invalid_client", 401, what="two credentials in one header")


# --- F: refresh, revocation, introspection --------------------------------------------------------------------------------------------------------


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


# --- B: the pages ---------------------------------------------------------------------------------------------------------------------------------


def pages():
    """A server of their own for tests that sign in often."""
    return Lab.named("pages")


def consent_form(page):
    check(page.status == 200, lambda: f"no consent page: {page!r}")
    return next(form for form in Forms(page.text).forms if any(name == "decision" for name, _ in form["buttons"]))


def sign_in_form(page):
    return next(form for form in Forms(page.text).forms if "password" in form["types"].values())


def has_code(reply):
    return "code=" in (reply.header("Location") or "") or "code=" in reply.text


@test("B-04: consent is given on one's own page, in one's own browser, by one's own click")
def _():
    client, server = lab().client("web"), lab().server
    url = server.origin + "/consent"
    ada, grace = lab().browser(), lab().browser("grace")
    form = consent_form(open_page(client))
    fields = {**form["fields"], "decision": "allow"}
    plain = {"Content-Type": "application/x-www-form-urlencoded", "Origin": server.origin, "Sec-Fetch-Site": "same-origin"}
    cookies = {name: "; ".join(f"{key}={value}" for key, value in browser.cookies.items()) for name, browser in (("ada", ada), ("grace", grace))}
    browser_only = f"mcp-auth-browser={ada.cookies['mcp-auth-browser']}"
    session_only = f"mcp-auth-session={ada.cookies['mcp-auth-session']}"
    attacks = {
        "no cookie": {}, "another person's cookies": {"Cookie": cookies["grace"]}, "only the session": {"Cookie": session_only},
        "only the browser": {"Cookie": browser_only},
        "the browser and another person's session": {"Cookie": f"{browser_only}; mcp-auth-session={grace.cookies['mcp-auth-session']}"},
        "the session and another browser": {"Cookie": f"{session_only}; mcp-auth-browser={grace.cookies['mcp-auth-browser']}"},
        "two browsers": {"Cookie": f"mcp-auth-browser={'A' * 43}; {cookies['ada']}"},
        "two sessions": {"Cookie": f"{cookies['ada']}; mcp-auth-session={'A' * 43}"},
        "an invented cookie": {"Cookie": f"mcp-auth-browser={'A' * 43}; mcp-auth-session={'A' * 43}"},
        "from another site": {"Cookie": cookies["ada"], "Origin": "http://evil.lab"}, "from nowhere": {"Cookie": cookies["ada"], "Origin": "null"},
        "from another port": {"Cookie": cookies["ada"], "Origin": f"http://127.0.0.1:{server.port + 1}"},
        "cross-site": {"Cookie": cookies["ada"], "Sec-Fetch-Site": "cross-site"},
        "same-site": {"Cookie": cookies["ada"], "Sec-Fetch-Site": "same-site"},
        "cross-site without Origin": {"Cookie": cookies["ada"], "Origin": None, "Sec-Fetch-Site": "cross-site"},
        "an address typed in": {"Cookie": cookies["ada"], "Sec-Fetch-Site": "none"},
    }
    for what, headers in attacks.items():
        reply = send("POST", url, encode_form(fields), {**plain, **headers})
        equal(reply.status, 403, what)
        check(not has_code(reply) and not reply.header("Location"), f"{what}: {reply!r}")
    mine = {**plain, "Cookie": cookies["ada"]}
    for what, changes in {
        "no transaction": {"transaction": ""}, "an invented one": {"transaction": "A" * 200},
        "one bit changed": {"transaction": flipped(fields["transaction"])}, "cut off": {"transaction": fields["transaction"][:-4]},
        "with an end": {"transaction": fields["transaction"] + "AAAA"},
    }.items():
        reply = send("POST", url, encode_form({**fields, **changes}), mine)
        equal((reply.status, has_code(reply)), (403, False), what)
    for decision in ("", "Allow", "yes", "allow\u0301"):
        reply = send("POST", url, encode_form({**fields, "decision": decision}), mine)
        equal((reply.status, has_code(reply)), (400, False), f"decision {decision!r}")
    reply = send("GET", f"{url}?{encode_form(fields)}", headers=mine)
    equal((reply.header("Location"), has_code(reply)), (None, False), "by GET")
    reply = send("POST", f"{url}?{encode_form(fields)}", "", mine)
    equal(has_code(reply), False, "everything in the query")
    reply = send("POST", url, json.dumps(fields), {**mine, "Content-Type": "text/plain"})
    equal((reply.status, has_code(reply)), (400, False), "as text/plain, which needs no preflight")
    equal(has_code(send("POST", url, encode_form(fields), mine)), True, "the honest click, after all that")
    reply = send("POST", url, encode_form(fields), mine)
    equal((reply.status, has_code(reply)), (403, False), "B-07: the same page again")


def flipped(text):
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


@test("B-06: what a form says about client, scope and redirect has no effect")
def _():
    client, browser = lab().client("web"), lab().browser()
    verifier = new_verifier()
    page = open_page(client, scope="read:tasks", state="honest", code_challenge=challenge_of(verifier))
    reply = browser.submit(
        lab().server.origin + "/consent", consent_form(page),
        {
            "decision": "allow", "client_id": lab().client("other").id, "scope": "read:tasks write:tasks delete:tasks",
            "redirect_uri": "https://evil.lab/cb", "resource": "https://evil.lab/mcp", "state": "evil", "user": "grace", "username": "grace",
            "remember": "yes", "sub": "admin", "code_challenge": "A" * 43,
        },
    )
    location = reply.header("Location")
    equal(location.split("?")[0], WEB, "where the code goes")
    equal(query_of(location)["state"], "honest", "state")
    tokens = client.redeem(query_of(location)["code"], verifier).json
    equal(tokens["scope"], "read:tasks", "scope")
    equal(structured(call(lab().server, tokens["access_token"], "whoami"))["subject"], lab().alive()["subject"], "user")
    check("decision" in open_page(client, scope="read:tasks").text, "a public client was remembered")


@test("B-07: two tabs and two people do not mix")
def _():
    server = pages().server
    one, two = Client(server, "https://one.lab/cb"), Client(server, "https://two.lab/cb")
    browser = Browser("ada").sign_in(server.origin)
    first = consent_form(open_page(one, state="one", browser=browser))
    second = consent_form(open_page(two, state="two", browser=browser))
    for form, client, state in ((second, two, "two"), (first, one, "one")):
        location = browser.submit(server.origin + "/consent", form, {"decision": "allow"}).header("Location")
        equal((location.split("?")[0], query_of(location)["state"]), (client.redirect, state), "each tab its own")
    stale = consent_form(open_page(one, browser=browser))
    browser.user = "grace"
    page = open_page(two, prompt="login", browser=browser)
    equal(browser.submit(server.origin + "/sign-in", sign_in_form(page), {"username": "grace", "password": PASSWORD}).status, 303, "grace signs in")
    reply = browser.submit(server.origin + "/consent", stale, {"decision": "allow"})
    equal((reply.status, has_code(reply)), (403, False), "ada's page, approved by grace")


@test("B-08: a remembered consent is for exactly that, for a client with a secret, and for a visit of one's own")
def _():
    client, browser, server = lab().client("basic"), lab().browser("grace"), lab().server

    def visit(site="none", browser=browser, client=client, **changes):
        return browser.get(client.authorization_url(**{"scope": "read:tasks", **changes}), headers={"Sec-Fetch-Site": site} if site else {})

    def asks(reply, what):
        equal((reply.status, has_code(reply)), (200, False), what)
        consent_form(reply)

    asks(visit(), "the first time")
    equal(browser.submit(server.origin + "/consent", consent_form(visit()), {"decision": "allow", "remember": "yes"}).status, 303, "remember")
    equal(has_code(visit()), True, "the same again")
    equal(has_code(visit(prompt="none")), True, "the same again, silently")
    for what, reply in {
        "more": visit(scope="read:tasks write:tasks"), "something else": visit(scope="write:tasks"), "everything": visit(scope=None),
        "on request": visit(prompt="consent"), "sent by another site": visit("cross-site"), "sent by a neighbour": visit("same-site"),
        "sent by nobody knows whom": visit(None), "another person": visit(browser=lab().browser()),
        "another client": visit(client=lab().client("post")),
    }.items():
        asks(reply, what)
    equal(told(visit("cross-site", prompt="none"), client, "silently, sent by another site")["error"], "consent_required", "another site")
    public = lab().client("web")
    equal(
        browser.submit(server.origin + "/consent", consent_form(visit(client=public)), {"decision": "allow", "remember": "yes"}).status, 303, "allow",
    )
    asks(visit(client=public), "a client without a secret")
    client.tokens(browser, scope="read:tasks write:tasks")
    check(browser.disconnect_all(server.origin) > 0, "nothing to disconnect")
    lab().made.pop(("token", "grace"), None)
    asks(visit(), "after Disconnect")


@test("B-05: the session changes at sign-in, and what was planted or begun before is worth nothing after")
def _():
    server, client = pages().server, pages().client("web")
    consent = server.origin + "/consent"
    planted = {"mcp-auth-browser": secrets.token_urlsafe(32), "mcp-auth-session": secrets.token_urlsafe(32)}
    victim, attacker, stranger = Browser("grace"), Browser(), Browser()
    victim.cookies.update(planted)
    attacker.cookies.update(planted)
    begun = sign_in_form(open_page(client, browser=attacker))
    page = open_page(client, browser=victim)
    reply = victim.submit(server.origin + "/sign-in", sign_in_form(page), {"username": "grace", "password": PASSWORD})
    equal(reply.status, 303, "sign-in")
    check(victim.cookies["mcp-auth-session"] != planted["mcp-auth-session"], "the session did not change")
    check("Signed in as" in victim.get(server.origin + "/account").text, "grace is signed in")

    check("Signed in as" not in attacker.get(server.origin + "/account").text, "the planted cookies open the account")
    check('name="decision"' not in attacker.get(server.origin + reply.header("Location")).text, "the victim's consent page, with the planted cookies")
    theirs = consent_form(victim.get(server.origin + reply.header("Location")))
    for who, browser in (("the planted cookies", attacker), ("another browser", stranger)):
        answer = browser.submit(consent, theirs, {"decision": "allow"})
        equal((answer.status, has_code(answer)), (403, False), f"the victim's consent form, with {who}")
    answer = victim.request("POST", consent, {**begun["fields"], "decision": "allow"})
    equal((answer.status, has_code(answer)), (403, False), "what the attacker began, allowed in the victim's browser")
    elsewhere = sign_in_form(open_page(client, browser=stranger))
    answer = victim.submit(server.origin + "/sign-in", elsewhere, {"username": "grace", "password": PASSWORD})
    equal(answer.status, 403, "login CSRF: a sign-in page of another browser")

    before = victim.cookies["mcp-auth-session"]
    again = sign_in_form(open_page(client, prompt="login", browser=victim))
    equal(victim.submit(server.origin + "/sign-in", again, {"username": "grace", "password": PASSWORD}).status, 303, "a second sign-in")
    check(victim.cookies["mcp-auth-session"] != before, "the session did not change at a second sign-in")
    attacker.cookies = {**victim.cookies, "mcp-auth-session": before}
    check("Signed in as" not in attacker.get(server.origin + "/account").text, "the session before the second sign-in still lives")


@test("B-12: cookies are HttpOnly and SameSite, and signing out ends the session on the server")
def _():
    server = pages().server
    browser = Browser("ada")
    page = browser.get(server.origin + "/account")
    reply = browser.submit(server.origin + "/account", sign_in_form(page), {"username": "ada", "password": PASSWORD})
    cookies = reply.all("Set-Cookie") + page.all("Set-Cookie")
    equal({cookie.split("=")[0] for cookie in cookies}, {"mcp-auth-browser", "mcp-auth-known", "mcp-auth-session"}, "cookies")
    for cookie in cookies:
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        check({"httponly", "samesite=lax", "path=/"} <= attributes, cookie)
        check(not any(part.startswith("domain") for part in attributes), f"a cookie for other hosts too: {cookie}")
        # Browsers drop Secure cookies from plain http, and this is loopback; on https they are Secure with the prefix __Host-.
        check("secure" not in attributes, cookie)
        check(len(unb64(cookie.split(";")[0].split("=", 1)[1])) >= 32, "a short cookie")
    stolen = dict(browser.cookies)
    account = browser.get(server.origin + "/account")
    check("Signed in as" in account.text, "signed in")
    form = next(form for form in Forms(account.text).forms if form["action"] == "/sign-out")
    stranger = Browser()
    equal(stranger.submit(server.origin + "/account", form).status, 403, "somebody else's sign-out")
    equal(browser.get(server.origin + "/sign-out").header("Location"), "/account", "a link to the sign-out leads to the account page")
    check("Signed in as" in browser.get(server.origin + "/account").text, "a link signed somebody out")
    equal(browser.submit(server.origin + "/account", form).status, 200, "sign-out")
    check("mcp-auth-session" not in browser.cookies, "the cookie stayed")
    stranger.cookies = stolen
    check("Signed in as" not in stranger.get(server.origin + "/account").text, "the session outlives its sign-out")


@test("B-01, B-02, B-12: every page forbids frames, scripts, caches and sniffing, and lets no other site read it")
def _():
    server, client, browser = pages().server, pages().client("web"), pages().browser()
    account = browser.get(server.origin + "/account")
    sign_out = next(form for form in Forms(account.text).forms if form["action"] == "/sign-out")
    stranger = Browser()
    login = stranger.get(server.origin + "/account")
    consent = open_page(client, browser=browser)
    shown = {
        "sign-in": login,
        "wrong password": stranger.submit(server.origin + "/account", sign_in_form(login), {"username": "nobody", "password": "wrong"}),
        "consent": consent, "account": account, "an error": open_page(client, response_type="token", browser=browser),
        "an unknown client": open_page(client, client_id="x", browser=browser),
        "stale": stranger.submit(server.origin + "/consent", consent_form(consent), {"decision": "allow"}),
        "a code": browser.submit(server.origin + "/consent", consent_form(consent), {"decision": "allow"}),
        "signed out": browser.submit(server.origin + "/account", sign_out),
    }
    pages().made.pop(("browser", "ada"))
    for what, reply in shown.items():
        policy = {part.split()[0]: part.split()[1:] for part in reply.header("Content-Security-Policy").split(";")}
        equal(policy["default-src"], ["'none'"], what)
        equal((policy["frame-ancestors"], policy["base-uri"]), (["'none'"], ["'none'"]), what)
        check(
            "unsafe" not in str(policy) and "*" not in str(policy) and "script-src" not in policy and "data:" not in str(policy), f"{what}: {policy}",
        )
        # After consent a browser goes to the client, and from there wherever the client sends it: every hop would be held to form-action.
        equal(policy.get("form-action"), None if what == "consent" else ["'self'"], what)
        for name, value in (
            ("X-Frame-Options", "DENY"), ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"),
            # A sign-in may have been opened as a popup, whose opener has to see it close (ory/network#451).
            ("Cross-Origin-Opener-Policy", "same-origin" if what == "account" else None),
        ):
            equal(reply.header(name), value, f"{what}: {name}")
        check(reply.header("Referrer-Policy") in ("same-origin", "no-referrer"), what)
        check(not any(name.lower().startswith("access-control") for name, _ in reply.headers), f"{what}: another site may read it")
        if reply.status != 303:
            equal(reply.header("Content-Type"), "text/html; charset=utf-8", what)
            check("<script" not in reply.text and " style=" not in reply.text and not re.search(r"<[^>]*\son\w+=", reply.text), what)
    for path in ("/authorize", "/sign-in", "/consent", "/account", "/sign-out", "/account/disconnect"):
        for origin in ("http://evil.lab", "null"):
            reply = send("OPTIONS", server.origin + path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
            check(not any(name.lower().startswith("access-control") for name, _ in reply.headers), f"preflight of {path} from {origin}")
    for path in ("/token", "/register", "/revoke"):
        reply = send("OPTIONS", server.origin + path, headers={"Origin": "http://evil.lab", "Access-Control-Request-Method": "POST"})
        equal((reply.header("Access-Control-Allow-Origin"), reply.header("Access-Control-Allow-Credentials")), ("*", None), f"preflight of {path}")


PAYLOADS = [
    '"><svg/onload=alert(1)>', "</script><script>alert(1)</script>", '" autofocus onfocus=alert(1) x="', '"\u0301 autofocus onfocus=alert(1)',
    "<\u0301img src=x onerror=alert(1)>", "{{7*7}}${7*7}#{7*7}", "'`><a href=javascript:alert(1)>x</a>", "<!--", "&lt;script&gt;&#60;b&#62;",
    "\u202eevil\u2066\u200b", "a" + "\u0301" * 200, "\0<b>", "<b>\r\n\r\n<i>", "\ud83d\ude00<x>".encode("utf-16", "surrogatepass").decode("utf-16"),
]


def same_shape(found, honest, what):
    """Whatever a stranger wrote, the page has the elements and attributes that it has for everybody."""
    equal(Forms(found.text).shape, Forms(honest.text).shape, f"markup with {what!r}")
    # The logo is the operator's.
    text = re.sub(r'<img class="logo" src="[\w/]*" alt="">', "", found.text)
    check("alert(1)>" not in text and not re.search(r"<(svg|img|script|b|i|x)\b", text), f"markup with {what!r}")


def account_with(client, browser):
    """The account page of somebody who has connected this client only."""
    browser.disconnect_all(client.server.origin)
    client.tokens(browser)
    return browser.get(client.server.origin + "/account")


@test("B-02, B-03: no name, state, hint or parameter changes the markup of a page")
def _():
    server, browser = pages().server, pages().browser()
    honest = Client(server, WEB, client_name="honest")
    connected = account_with(honest, browser)
    # Errors of a client that was approved go to it by themselves, so they come from one that was not.
    bare = Client(server, WEB, client_name="bare")
    consent, unknown = open_page(honest, browser=browser), open_page(honest, client_id="x", browser=browser)
    no_client, no_redirect = open_page(honest, client_id="\u00e4", browser=browser), open_page(honest, redirect_uri="https://c.lab/x", browser=browser)
    error, chosen = open_page(bare, response_type="token", browser=browser), open_page(bare, scope="admin", browser=browser)
    for what in PAYLOADS:
        client = Client(server, WEB, client_name=what)
        page = open_page(client, browser=browser)
        same_shape(page, consent, what)
        same_shape(account_with(client, browser), connected, what)
        check(not any(mark in page.text for mark in "\u202e\u2066\u200b\0"), f"an invisible character of {what!r} is on the page")
        check("\u0301" * 3 not in page.text, "a heap of marks is on the page")
        check("Its name has not been verified" in page.text and "c.lab" in visible_text(page.text), "who it is and where it leads")
        same_shape(open_page(honest, state=what.replace("\0", ""), browser=browser), consent, what)
        # The page shows the value that was sent, where it can be one.
        same_shape(open_page(honest, browser=browser, client_id=what), unknown if re.fullmatch(r"[!-~]+", what) else no_client, what)
        same_shape(open_page(honest, browser=browser, redirect_uri=what), no_client if "\0" in what else no_redirect, what)
        if "\0" not in what:
            for changes in (
                {"resource": what}, {"response_type": what}, {"prompt": what}, {"max_age": what}, {"response_mode": what}, {"code_challenge": what},
            ):
                same_shape(open_page(bare, browser=browser, **{"state": what, **changes}), error, what)
            page = open_page(bare, browser=browser, scope=what)
            same_shape(page, error if page.status == 400 else chosen, what)
    stranger = Browser()
    page = open_page(honest, browser=stranger)
    for what in PAYLOADS:
        if "\0" not in what:
            same_shape(open_page(honest, login_hint=what, browser=Browser()), page, what)


@test("B-02, B-10: a user name that is no name is refused like any other, and shown as text")
def _():
    lab = Lab.named("guessing")
    server = lab.server
    browser = Browser()
    page = browser.get(server.origin + "/account")

    def attempt(name, password="wrong-password"):
        return browser.submit(server.origin + "/account", sign_in_form(page), {"username": name, "password": password})

    wrong = attempt("nobody")
    equal(wrong.status, 401, "a name that nobody has")
    mask = lambda reply: re.sub(r'value="[^"]*"', "", reply.text)
    equal(mask(attempt("ada")), mask(wrong), "a name that somebody has")
    for name in ("ad\u0061\u0301", "\uff41da", "a\u200bda", " ada", PAYLOADS[0], PAYLOADS[2], PAYLOADS[3], "ada\r\nX: y", "a" * 300, ""):
        reply = attempt(name, PASSWORD)
        equal(reply.status, 401, repr(name))
        if name:  # without one, the focus is on the name and not on the password
            same_shape(reply, wrong, name)
    equal(attempt("ada", PASSWORD + "\u0301").status, 401, "W-01: the password with a mark")
    equal(attempt("ada", "x" * 3000).status, 401, "a long password")
    equal(attempt("ada", "x" * 100_000).status, 413, "a very long password")
    equal(attempt("ADA", PASSWORD).status, 303, "the right password; ASCII capitals are the same name")


@test("B-10, K-06: guessing is slowed down, whatever address the guesser claims, and others still get in")
def _():
    server = Lab.named("throttled").server
    browser = Browser()
    page = browser.get(server.origin + "/account")

    def attempt(name, password, index=0):
        headers = {"X-Forwarded-For": f"192.0.2.{index}", "X-Real-IP": f"192.0.2.{index}", "Forwarded": f"for=192.0.2.{index}"}
        return browser.request("POST", server.origin + "/sign-in", {**sign_in_form(page)["fields"], "username": name, "password": password}, headers)

    statuses = [attempt("ada", f"guess {index}", index).status for index in range(13)]
    check(statuses[0] == 401 and statuses[-1] == 429, f"thirteen guesses: {statuses}")
    reply = attempt("ada", PASSWORD)
    equal(reply.status, 429, "the right password, meanwhile")
    check(int(reply.header("Retry-After")) > 0, "Retry-After")
    equal(attempt("grace", PASSWORD).status, 303, "somebody else")
    client = Client(server, WEB, token_endpoint_auth_method="client_secret_basic")
    right, client.secret = client.secret, "wrong"
    statuses = [client.refresh("x").status for _ in range(40)]
    check(statuses[0] == 401 and statuses[-1] in (429, 503), f"forty guesses of a secret: {statuses}")
    client.secret = right
    other = Client(server, WEB, token_endpoint_auth_method="client_secret_basic")
    denied(other.refresh("x"), what="another client")


@test("D-01: registration is limited, and the limit is not the client's to reset")
def _():
    server = Lab.named("throttled").server
    document = {"redirect_uris": [WEB], "token_endpoint_auth_method": "none"}
    statuses = [post_json(server.origin + "/register", document, {"X-Forwarded-For": f"192.0.2.{index}"}).status for index in range(80)]
    equal(statuses[0], 201, "the first")
    check(statuses[-1] == 429 and set(statuses) == {201, 429}, f"the last of eighty: {statuses[-1]}")


@test("B-11: no parameter of the pages is a way out")
def _():
    server = pages().server
    for target in (
        "//evil.lab", "/\\evil.lab", "https:evil.lab", "\t//evil.lab", "javascript:alert(1)", "https://evil.lab/", "https://127.0.0.1@evil.lab",
    ):
        extra = urllib.parse.urlencode(
            {name: target for name in ("return_to", "next", "redirect", "url", "continue", "post_logout_redirect_uri", "redirect_uri", "transaction")}
        )
        stranger = Browser("grace")
        page = stranger.get(f"{server.origin}/account?{extra}")
        check("evil" not in page.text, target)
        form = sign_in_form(page)
        equal(form["action"], "/sign-in", "where the form goes")
        fields = {**dict(urllib.parse.parse_qsl(extra)), **form["fields"], "username": "nobody", "password": "wrong"}
        reply = stranger.request("POST", f"{server.origin}/sign-in?{extra}", fields)
        equal((reply.status, reply.header("Location")), (401, None), target)
        check("evil" not in reply.text, target)
    browser = pages().browser()
    page = browser.get(f"{server.origin}/account?{extra}")
    form = next(form for form in Forms(page.text).forms if form["action"] == "/sign-out")
    reply = browser.request("POST", f"{server.origin}/sign-out?{extra}", {**dict(urllib.parse.parse_qsl(extra)), **form["fields"]})
    equal((reply.status, reply.header("Location")), (200, None), "sign-out")
    pages().made.pop(("browser", "ada"))
    stranger = Browser("grace")
    form = sign_in_form(stranger.get(server.origin + "/account"))
    reply = stranger.request(
        "POST", f"{server.origin}/sign-in?{extra}",
        {**dict(urllib.parse.parse_qsl(extra)), **form["fields"], "username": "grace", "password": PASSWORD},
    )
    equal((reply.status, reply.header("Location")), (303, "/account"), "after sign-in")


# --- D: registration ------------------------------------------------------------------------------------------------------------------------------


@test("D-04, D-05: a registration gets what every client gets, and is told so")
def _():
    plain = {"redirect_uris": [WEB], "token_endpoint_auth_method": "none"}
    honest = register(plain).json
    reply = register(
        {
            **plain, "client_id": "https://evil.lab/client.json", "client_secret": "mine", "registration_access_token": "mine", "skip_consent": True,
            "trusted": True, "scope": "admin", "introspects": "x", "origin": "configured", "client_id_issued_at": 1e300,
            "unknown": {"a": [1e300, -0.0, 2**70]},
        }
    )
    equal(reply.status, 201, "unknown members are ignored")
    equal(set(reply.json) - set(honest), set(), "members of the answer")
    check(reply.json["client_id"].startswith("client-") and "client_secret" not in reply.json, reply.json)
    equal(reply.header("Cache-Control"), "no-store", "no-store")
    for bad in (
        {"grant_types": ["client_credentials"]}, {"grant_types": ["implicit", "urn:ietf:params:oauth:grant-type:token-exchange"]},
        {"response_types": ["token"]}, {"token_endpoint_auth_method": "private_key_jwt"}, {"token_endpoint_auth_method": "NONE"},
        {"jwks": {"keys": []}}, {"jwks_uri": "http://169.254.169.254/"}, {"software_statement": "e30.e30."},
    ):
        reply = register({**plain, **bad})
        error = "invalid_software_statement" if "software_statement" in bad else "invalid_client_metadata"
        equal((reply.status, reply.error), (400, error), str(bad)[:80])
    # What only decorates refuses nobody: it is left out, or cut.
    for odd in (
        {"client_uri": "javascript:alert(1)"}, {"logo_uri": "data:image/svg+xml,x"}, {"client_uri#fr": "javascript:alert(1)"}, {"tos_uri": "http://c.lab/"},
        {"client_name": "x" * 513}, {"client_name": None}, {"client_name": 1e300}, {"grant_types": []}, {"jwks": None}, {"policy_uri": ""},
    ):
        reply = register({**plain, **odd})
        equal(reply.status, 201, str(odd)[:80])
        check("alert" not in str(reply.json) and "image/svg" not in str(reply.json) and "http://c.lab/" not in str(reply.json), reply.json)
        check(len(reply.json.get("client_name") or "") < 513, "the name")
    # What no stranger gets is left out, and the answer says what is left.
    for grant in ("client_credentials", "implicit", "password", "urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        reply = register({**plain, "grant_types": ["authorization_code", grant], "token_endpoint_auth_method": "client_secret_post"})
        equal((reply.status, reply.json["grant_types"]), (201, ["authorization_code", "refresh_token"]), grant)
        server = Lab.named(f"registrations {registrations // 55}").server
        form = {"grant_type": grant, "client_id": reply.json["client_id"], "client_secret": reply.json["client_secret"], "resource": server.url}
        check(post_form(server.origin + "/token", form).error in ("unauthorized_client", "unsupported_grant_type"), f"{grant} at the token endpoint")


# --- W: two readings of one text ------------------------------------------------------------------------------------------------------------------


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


# --- N: whatever comes through the socket ---------------------------------------------------------------------------------------------------------


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


# --- What has aged meanwhile ----------------------------------------------------------------------------------------------------------------------


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


# --- L: what is written down ----------------------------------------------------------------------------------------------------------------------


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


if __name__ == "__main__":
    main("wire")

"""Access tokens: signatures, claims, kinds of JWT."""

import datetime
import hashlib
import hmac
import json
import secrets
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from support import PASSWORD, call, check, equal, in_parallel, send, test
from wire.lab import Canary, Lab, b64, encoded, es256, issuer_key, lab, public_jwk, refused, segments, signed, unb64


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

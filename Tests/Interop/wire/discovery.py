"""Metadata, key set, and what is not offered."""

from support import PASSWORD, check, claims_of, equal, query_of, send, test
from wire.lab import aging, issuer_key, lab, public_jwk, segments


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

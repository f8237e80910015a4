"""Dynamic client registration."""

from support import check, equal, post_form, test
from wire.lab import WEB, register, registering_server


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
        server = registering_server()
        form = {"grant_type": grant, "client_id": reply.json["client_id"], "client_secret": reply.json["client_secret"], "resource": server.url}
        check(post_form(server.origin + "/token", form).error in ("unauthorized_client", "unsupported_grant_type"), f"{grant} at the token endpoint")

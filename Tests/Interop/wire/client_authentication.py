"""Client authentication."""

import base64

from support import equal, post_form, test
from wire.lab import denied, lab


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

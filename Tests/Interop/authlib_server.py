"""An OAuth authorization server written with authlib, for tests of our client.

    authlib_server.py PORT SECONDS STATISTICS [REDIRECT_URI_OF_A_PROXY]

Public and confidential clients register themselves; PKCE is demanded; access tokens are opaque and live for SECONDS; refresh tokens rotate, and one
that is used twice ends the grant. Every user is signed in and agrees. It appends a line to STATISTICS for each grant, refresh, reuse and revocation.
The clients resource-server and proxy are registered beforehand.
"""

import json
import secrets
import sys
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc9207.parameter import IssuerParameter
from flask import Flask, jsonify, request

port, lifetime = int(sys.argv[1]), int(sys.argv[2])
statistics = sys.argv[3]
issuer = f"http://127.0.0.1:{port}"
METADATA = {
    "issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
    "registration_endpoint": issuer + "/register", "revocation_endpoint": issuer + "/revoke", "introspection_endpoint": issuer + "/introspect",
    "response_types_supported": ["code"], "grant_types_supported": ["authorization_code", "refresh_token"], "scopes_supported": ["read", "write"],
    "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"], "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
}
clients, codes, tokens, used, ended = {}, {}, [], {}, set()


def note(line):
    with open(statistics, "a") as file:
        file.write(line + "\n")


class Client:
    def __init__(self, information, metadata):
        self.metadata = metadata
        self.client_id = information["client_id"]
        self.client_secret = information.get("client_secret")

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return self.metadata["redirect_uris"][0]

    def get_allowed_scope(self, scope):
        return " ".join(word for word in (scope or "").split() if word in ("read", "write"))

    def check_redirect_uri(self, uri):
        return uri in self.metadata["redirect_uris"]

    def check_client_secret(self, secret):
        return bool(self.client_secret) and secrets.compare_digest(self.client_secret, secret)

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.metadata.get("token_endpoint_auth_method", "client_secret_basic")

    def check_response_type(self, kind):
        return kind in self.metadata.get("response_types", ["code"])

    def check_grant_type(self, kind):
        return kind in self.metadata.get("grant_types", ["authorization_code"])


class Code:
    def __init__(self, **values):
        self.__dict__.update(values)

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope


class Token:
    def __init__(self, values, client, family):
        self.client, self.family, self.issued = client, family, time.time()
        self.access, self.refresh, self.scope = values["access_token"], values.get("refresh_token"), values.get("scope", "")

    def check_client(self, client):
        return client.client_id == self.client.client_id

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return lifetime

    def is_revoked(self):
        return self.family in ended

    def is_expired(self):
        return time.time() > self.issued + lifetime

    def get_user(self):
        return "ada"

    def get_client(self):
        return self.client


class CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["none", "client_secret_basic", "client_secret_post"]

    def save_authorization_code(self, code, request):
        data = request.payload.data
        codes[code] = Code(
            code=code, client_id=request.client.client_id, redirect_uri=request.payload.redirect_uri, scope=request.payload.scope,
            code_challenge=data.get("code_challenge"), code_challenge_method=data.get("code_challenge_method"))

    def query_authorization_code(self, code, client):
        found = codes.get(code)
        return found if found and found.client_id == client.client_id else None

    def delete_authorization_code(self, code):
        codes.pop(code.code, None)
        note("grant")

    def authenticate_user(self, code):
        return "ada"


class RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["none", "client_secret_basic", "client_secret_post"]
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, text):
        if text in used:
            note("reuse")
            ended.add(used[text])
            return None
        return next((token for token in tokens if token.refresh == text and not token.is_revoked()), None)

    def authenticate_user(self, token):
        return "ada"

    def revoke_old_credential(self, token):
        note("refresh")
        used[token.refresh] = token.family


class S256(CodeChallenge):
    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant, redirect_uri):
        if not grant.request.payload.data.get("code_challenge"):
            raise OAuth2Error(description="Missing code_challenge")
        super().validate_code_challenge(grant, redirect_uri)


class Registration(ClientRegistrationEndpoint):
    def authenticate_token(self, request):
        return True

    def get_server_metadata(self):
        return METADATA

    def generate_client_secret(self, request):
        return "" if request.payload.data.get("token_endpoint_auth_method") == "none" else secrets.token_urlsafe(24)

    def save_client(self, information, metadata, request):
        clients[information["client_id"]] = client = Client(information, metadata)
        return client


def find(text):
    return next((token for token in tokens if text in (token.access, token.refresh)), None)


class Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = ["none", "client_secret_basic", "client_secret_post"]

    def query_token(self, text, hint):
        return find(text)

    def revoke_token(self, token, request):
        note("revoke")
        ended.add(token.family)


class Introspection(IntrospectionEndpoint):
    def query_token(self, text, hint):
        return find(text)

    def check_permission(self, token, client, request):
        return client.client_id == "resource-server"

    def introspect_token(self, token):
        return {
            "active": True, "client_id": token.client.client_id, "scope": token.scope, "sub": "ada", "iss": issuer,
            "exp": int(token.issued + lifetime)}


class Issuer(IssuerParameter):
    def get_issuer(self):
        return issuer


def save(values, request):
    family = next((used[word] for word in [request.form.get("refresh_token")] if word in used), secrets.token_hex(8))
    tokens.append(Token(values, request.client, family))


app = Flask(__name__)
app.config.update(OAUTH2_REFRESH_TOKEN_GENERATOR=True, OAUTH2_TOKEN_EXPIRES_IN={"authorization_code": lifetime, "refresh_token": lifetime})
server = AuthorizationServer(app, query_client=clients.get, save_token=save)
server.init_app(app, query_client=clients.get, save_token=save)
server.register_grant(CodeGrant, [S256(required=True)])
server.register_grant(RefreshGrant)
server.register_endpoint(Registration)
server.register_endpoint(Revocation)
server.register_endpoint(Introspection)
server.register_extension(Issuer())
clients["resource-server"] = Client(
    {"client_id": "resource-server", "client_secret": "resource-server-secret"},
    {"redirect_uris": [], "grant_types": [], "token_endpoint_auth_method": "client_secret_basic"})
if len(sys.argv) > 4:
    clients["proxy"] = Client({"client_id": "proxy", "client_secret": "proxy-secret"}, {
        "redirect_uris": [sys.argv[4]], "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "client_secret_basic"})


@app.get("/.well-known/oauth-authorization-server")
def metadata():
    return jsonify(METADATA)


@app.get("/authorize")
def authorize():
    try:
        grant = server.get_consent_grant(end_user="ada")
    except OAuth2Error as error:
        return server.handle_error_response(None, error) if error.redirect_uri else (json.dumps(dict(error.get_body())), 400)
    return server.create_authorization_response(grant_user="ada", grant=grant)


@app.post("/token")
def token():
    return server.create_token_response()


@app.post("/<any(register, revoke, introspect):name>")
def endpoint(name):
    names = {
        "register": Registration.ENDPOINT_NAME, "revoke": Revocation.ENDPOINT_NAME, "introspect": Introspection.ENDPOINT_NAME}
    return server.create_endpoint_response(names[name])


app.run(host="127.0.0.1", port=port, threaded=True)

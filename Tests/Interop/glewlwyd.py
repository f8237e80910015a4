#!/usr/bin/env python3
"""Glewlwyd (a single sign-on server in C, of Debian) as an authorization server and OpenID provider for tests.

    glewlwyd.py browse URL

plays the browser of a user: signs in at the glewlwyd server of the URL, allows what is asked for, and opens the address to which it is sent.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

USER, PASSWORD = "ada", "correct horse battery"
SCHEMA = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
PROGRAM = shutil.which("glewlwyd")


def is_installed():
    return PROGRAM is not None and os.path.exists(SCHEMA)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Session:
    """Requests to one server with the cookies of one user."""

    def __init__(self, origin, user, password):
        self.origin = origin
        self.cookies = {}
        self.opener = urllib.request.build_opener(NoRedirect())
        self.send("POST", "/api/auth/", {"username": user, "password": password})

    def send(self, method, path, body=None):
        url = path if path.startswith("http") else self.origin + path
        headers = {"Content-Type": "application/json", "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode(), headers=headers)
        try:
            answer = self.opener.open(request, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read().decode()
        if answer.status >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {text[:400]}")
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, text, answer.headers


class Glewlwyd:
    """A server with one user, the scopes read and write, and the plugin for OpenID Connect, at /api/oidc."""

    def __init__(self, port, **parameters):
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"
        self.issuer = self.origin + "/api/oidc"
        self.folder = tempfile.mkdtemp(prefix="mcp-auth-glewlwyd-")
        database = self.folder + "/glewlwyd.db"
        with open(SCHEMA) as schema:
            subprocess.run(["sqlite3", database], stdin=schema, check=True, capture_output=True)
        with open(self.folder + "/glewlwyd.conf", "w") as file:
            file.write(f"""
port={port}
bind_address="127.0.0.1"
external_url="{self.origin}"
login_url="login.html"
api_prefix="api"
static_files_path="/usr/share/glewlwyd/webapp/"
log_mode="file"
log_level="INFO"
log_file="{self.folder}/log"
cookie_domain=""
cookie_secure=0
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
user_middleware_module_path="{self.folder}"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3"; path = "{database}"; }};
""")
        self.process = subprocess.Popen(
            [PROGRAM, "--config-file=" + self.folder + "/glewlwyd.conf"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while True:
            try:
                self.admin = Session(self.origin, "admin", "password")
                break
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.1)
        self.configure(parameters)

    def configure(self, parameters):
        """Adds the scopes, the user, and the plugin."""
        key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True, text=True).stdout
        public = subprocess.run(["openssl", "rsa", "-pubout"], input=key, check=True, capture_output=True, text=True).stdout
        for scope in ("read", "write"):
            self.admin.send("POST", "/api/scope/", {
                "name": scope, "display_name": scope, "description": scope, "password_required": True, "password_max_age": 0, "scheme": {}})
        self.admin.send("POST", "/api/user/", {
            "username": USER, "password": PASSWORD, "name": "Ada Lovelace", "email": "ada@example.com", "enabled": True,
            "scope": ["g_profile", "openid", "read", "write"]})
        settings = {
            "iss": self.issuer, "jwt-type": "rsa", "jwt-key-size": "256", "key": key, "cert": public, "access-token-duration": 3600,
            "refresh-token-duration": 86400, "code-duration": 60, "refresh-token-rolling": True, "refresh-token-one-use": "always",
            "allow-non-oidc": True, "auth-type-code-enabled": True, "auth-type-code-revoke-replayed": True, "auth-type-token-enabled": False,
            "auth-type-id-token-enabled": True, "auth-type-none-enabled": False, "auth-type-password-enabled": False,
            "auth-type-client-enabled": True, "auth-type-device-enabled": False, "auth-type-refresh-enabled": True, "jwks-show": True,
            "allowed-scope": ["openid", "read", "write"], "secret-type": "public", "name-claim": "mandatory", "email-claim": "mandatory",
            "pkce-allowed": True, "pkce-method-plain-allowed": False, "pkce-required": True, "introspection-revocation-allowed": True,
            "introspection-revocation-allow-target-client": True, "register-client-allowed": True, "register-client-auth-scope": [],
            "register-client-credentials-scope": [], "register-client-token-one-use": False, "register-client-management-allowed": True,
            "oauth-as-iss-id": True, "resource-allowed": True, "resource-scope": {}, "resource-change-allowed": False,
            "resource-client-property": "", "resource-scope-and-client-property": False, **parameters}
        self.plugin = {"module": "oidc", "name": "oidc", "display_name": "OpenID Connect", "parameters": settings, "order_rank": 0}
        self.admin.send("POST", "/api/mod/plugin/", self.plugin)

    def allow_resource(self, url):
        """Lets tokens with the scope read be for this resource."""
        self.plugin["parameters"]["resource-scope"].setdefault("read", []).append(url)
        self.admin.send("PUT", "/api/mod/plugin/oidc", self.plugin)
        self.admin.send("PUT", "/api/mod/plugin/oidc/reset")

    def register(self, redirect_uri):
        """A confidential client, as the server's answer describes it."""
        _, text, _ = self.admin.send("POST", "/api/oidc/register", {
            "client_name": "our server", "redirect_uris": [redirect_uri], "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"], "token_endpoint_auth_method": "client_secret_basic", "application_type": "web"})
        return json.loads(text)

    def log(self):
        with open(self.folder + "/log") as file:
            return file.read()

    def stop(self):
        self.process.terminate()
        self.process.wait(15)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def browse(url):
    """Signs in, allows what the URL asks for, and returns the address to which the server sends the browser."""
    parts = urllib.parse.urlsplit(url)
    session = Session(f"{parts.scheme}://{parts.netloc}", USER, PASSWORD)
    query = dict(urllib.parse.parse_qsl(parts.query))
    _, _, headers = session.send("GET", url)
    if headers["Location"].startswith(session.origin):
        scopes = query.get("scope", "")
        session.send("PUT", f"/api/auth/grant/{urllib.parse.quote(query['client_id'])}", {"scope": scopes})
        _, _, headers = session.send("GET", url + "&g_continue")
    return headers["Location"]


def answer(browser, url):
    """What a browser of a test does on the page of a glewlwyd server, which is a program. None for other pages."""
    callback = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).get("callback_url")
    if "/login.html" not in url or not callback:
        return None
    target = browse(callback[0])
    return target, browser.get(target)


if __name__ == "__main__":
    if sys.argv[1:2] != ["browse"] or len(sys.argv) != 3:
        sys.exit(__doc__)
    address = browse(sys.argv[2])
    with urllib.request.urlopen(address, timeout=20) as page:
        print(page.status)

"""The command line as an operator uses it: names, lists, wrong usage, help, completions, manual pages."""

import base64
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from support import PASSWORD, Browser, Client, Server, check, equal, main, post_form, test

BINARY = os.path.abspath(sys.argv[1])
BROWSER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "browser.py")


def command(server, *arguments, given="", **variables):
    return subprocess.run(
        [BINARY, *arguments], input=given, capture_output=True, text=True, timeout=60,
        env={**os.environ, "MCP_AUTH_DATA": server.data, **variables})


def lab():
    """One server for all tests, with a connected application."""
    if not hasattr(lab, "server"):
        lab.server = Server()
        client = Client(lab.server)
        client.tokens(Browser())
    return lab.server


def good(server, *arguments, **options):
    done = command(server, *arguments, **options)
    equal(done.returncode, 0, f"{arguments}: {done.stderr}")
    return done.stdout


def refused(server, code, said, *arguments, **options):
    done = command(server, *arguments, **options)
    equal((done.returncode, done.stdout), (code, ""), f"{arguments}: {done.stderr}")
    check(done.stderr.startswith("mcp-auth: "), f"another voice: {done.stderr}")
    check(said in done.stderr, f"{said!r} is not in {done.stderr}")
    check("Fatal" not in done.stderr and ".swift" not in done.stderr, done.stderr)


@test("names stand beside identifiers in grants, audit and clients, and in JSON lists are lists and flags are flags")
def _():
    server = lab()
    grant = json.loads(good(server, "grants", "list", "--json"))[0]
    equal((grant["user"], type(grant["scope"]), bool(grant["client"])), ("ada", list, True), "a grant")
    events = json.loads(good(server, "audit", "show", "--user", "ada", "--json"))
    check(events and all(event["user"] == "ada" for event in events), events)
    check(any(event["client"] for event in events), "an event names its client")
    client = json.loads(good(server, "clients", "list", "--json"))[0]
    machine = command(server, "clients", "add", "nightly", "--grant", "client_credentials", "--scope", "read:tasks", "--json")
    robot = json.loads(machine.stdout)
    basic = {"Authorization": "Basic " + base64.b64encode(f"nightly:{robot['client_secret']}".encode()).decode()}
    for _ in range(2):
        equal(post_form(server.origin + "/token", {"grant_type": "client_credentials", "resource": server.url}, basic).status, 200, "a machine")
    done = command(server, "grants", "list", "--json")
    check(all(row["user"] for row in json.loads(done.stdout)) and "2 grants of machines are not shown; --all shows them" in done.stderr, done.stderr)
    check(any(not row["user"] for row in json.loads(good(server, "grants", "list", "--all", "--json"))), "grants of machines")
    equal((client["active"], type(client["redirect_uris"]), type(client["grants"])), (True, list, list), "a client")
    user = json.loads(good(server, "users", "show", "ada", "--json"))
    equal((user["active"], user["one_time_codes"], len(user["sessions"])), (True, False, 1), "a user")
    check("SCOPE" in good(server, "clients", "list").splitlines()[0], "scopes in the list of clients")


@test("tables fit the terminal")
def _():
    server = lab()
    for arguments in (("clients", "list"), ("grants", "list"), ("audit", "show"), ("users", "list")):
        widest = max(len(line) for line in good(server, *arguments, COLUMNS="100").splitlines())
        check(widest <= 160, f"{arguments}: {widest} columns")
    check(max(len(line) for line in good(server, "users", "list", COLUMNS="100").splitlines()) <= 110, "users")
    check("…" not in good(server, "clients", "list"), "nothing is cut where no terminal is")


@test("at every width, tables show whole identifiers that other commands take; a beginning that only one grant has is enough")
def _():
    server = lab()
    grants = [row["grant"] for row in json.loads(good(server, "grants", "list", "--json"))]
    clients = [row["client_id"] for row in json.loads(good(server, "clients", "list", "--json"))]
    for width in ("80", "100", "140"):
        text = good(server, "grants", "list", COLUMNS=width)
        check(all(grant in text for grant in grants), text)
        text = good(server, "clients", "list", COLUMNS=width)
        check(all(client in text for client in clients), text)
    Client(server).tokens(Browser())
    newest = json.loads(good(server, "grants", "list", "--json"))[0]["grant"]
    done = command(server, "grants", "revoke", "grant-")
    equal(done.returncode, 64, done.stderr)
    good(server, "grants", "revoke", newest[:14])
    check(newest not in good(server, "grants", "list", "--json"), "revoked by its beginning")


@test("the audit log says which user is attacked, never what was typed for a name; first requests without a token are no refusals")
def _():
    server = lab()
    for name in ("ada", "a password in the wrong field"):
        try:
            Browser(name, "wrong").sign_in(server.origin)
        except Exception:
            pass
    rows = [row for row in json.loads(good(server, "audit", "show", "--action", "sign_in", "--json")) if row["reason"] == "wrong_password"]
    equal([row["user"] for row in rows], ["ada", None], "who was attacked")
    with open(os.path.join(server.data, "audit.jsonl")) as log:
        check("wrong field" not in log.read(), "a name that no user has is in the log")
    reasons = {row["reason"] for row in json.loads(good(server, "audit", "show", "--refused", "--json"))}
    check("wrong_password" in reasons and "no_credentials" not in reasons, reasons)


@test("wrong usage is exit 64 in one voice, with the nearest name")
def _():
    server = lab()
    refused(server, 64, "did you mean users?", "user", "list")
    refused(server, 64, "did you mean list?", "users", "lits")
    refused(server, 64, "--foo", "users", "list", "--foo")
    refused(server, 64, "there is no command mcp-auth user (did you mean users?)", "help", "user")
    refused(server, 64, "Did you mean '--version'?", "--vesion")
    refused(server, 64, "--trusted-proxies is 0 to 16", "demo", "--trusted-proxies", "-1")
    refused(server, 64, "--count is 1 or more", "audit", "show", "--count=-3")
    refused(server, 64, "--limit is 1 or more", "grants", "list", "--limit=0")
    refused(server, 64, "The log has:", "audit", "show", "--action", "sign-in")
    refused(server, 64, "2026-11-26", "audit", "show", "--since", "yesterday")
    refused(server, 64, "there is no user bob", "users", "password", "bob")
    refused(server, 64, "there is no user bob", "grants", "list", "--user", "bob")
    refused(server, 64, "there is a user ada already", "users", "add", "ada")
    refused(server, 64, "there is no client x", "clients", "show", "x")
    refused(server, 64, "did you mean read:tasks?", "clients", "add", "r", "--grant", "client_credentials", "--scope", "read:task")
    refused(server, 64, "did you mean client_credentials?", "clients", "add", "r", "--grant", "client_credential")
    refused(server, 64, "the file nothing.pem does not exist", "keys", "import", "nothing.pem")
    refused(server, 64, "the file nothing.json does not exist", "clients", "add", "r", "--keys", "nothing.json", "--redirect-uri", "https://a.example/cb")
    refused(server, 78, "needs a secret or a key", "clients", "add", "r", "--grant", "client_credentials", "--public")
    refused(server, 78, "the folder /nowhere does not exist", "users", "list", "--data", "/nowhere")
    refused(server, 64, "this password is among those that attackers try first", "users", "add", "bob", given="password1\n")


@test("a reader that goes away, as in | head, ends a command without a crash")
def _():
    server = lab()
    for restores in (True, False):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [BINARY, "audit", "show", "--data", server.data], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, restore_signals=restores)
        os.close(writer)
        equal((done.returncode, done.stderr), (-signal.SIGPIPE if restores else 128 + signal.SIGPIPE, ""), "the end")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BINARY, "users", "list", "--data", server.data], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        equal((done.returncode, "cannot be written" in done.stderr), (1, True), done.stderr)


@test("an audit log that nobody wrote is no log: exit 78")
def _():
    server = lab()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(server.data, os.path.join(folder, "data"))
        data = os.path.join(folder, "data")
        open(os.path.join(data, "audit.jsonl"), "w").close()
        done = subprocess.run([BINARY, "audit", "verify", "--data", data], capture_output=True, text=True)
        equal((done.returncode, "there is no log" in done.stderr), (78, True), done.stderr)


@test("users and clients can be shown, edited and removed")
def _():
    server = lab()
    good(server, "users", "edit", "grace", "--name", "Grace H.", "--email", "grace@example.com", "--email-verified")
    user = json.loads(good(server, "users", "show", "grace", "--json"))
    equal((user["display_name"], user["email"], user["email_verified"]), ("Grace H.", "grace@example.com", True), "edited")
    good(server, "users", "edit", "grace", "--email", "g@example.com")
    user = json.loads(good(server, "users", "show", "grace", "--json"))
    equal((user["display_name"], user["email"], user["email_verified"]), ("Grace H.", "g@example.com", False), "a new address is not verified")
    good(server, "users", "edit", "grace", "--name", "", "--email", "")
    user = json.loads(good(server, "users", "show", "grace", "--json"))
    equal((user["display_name"], user["email"]), (None, None), "removed")
    refused(server, 64, "say what to change", "users", "edit", "grace")
    refused(server, 64, "is not an e-mail address", "users", "edit", "grace", "--email", "nowhere")
    refused(server, 64, "there is no user bob", "users", "edit", "bob", "--name", "Bob")
    good(server, "users", "add", "alan", "--name", "Alan Turing", given="a good long password\n")
    check("Alan Turing" in good(server, "users", "show", "alan"), "shown")
    browser = Browser("alan", "a good long password")
    client = Client(server)
    client.tokens(browser)
    check(json.loads(good(server, "grants", "list", "--user", "alan", "--json")), "alan has a grant")
    good(server, "users", "remove", "alan")
    refused(server, 64, "there is no user alan", "users", "show", "alan")
    check(not any(g["user"] == "alan" for g in json.loads(good(server, "grants", "list", "--json"))), "the grant is gone")
    good(server, "clients", "add", "robot", "--grant", "client_credentials", "--scope", "read:tasks")
    good(server, "clients", "edit", "robot", "--scope", "read:tasks write:tasks", "--name", "Robot")
    shown = json.loads(good(server, "clients", "show", "robot", "--json"))
    equal((shown["scope"], shown["name"], shown["valid_secrets"]), (["read:tasks", "write:tasks"], "Robot", 1), "after the change")
    refused(server, 64, "say what to change", "clients", "edit", "robot")
    refused(server, 64, "did you mean read:tasks?", "clients", "edit", "robot", "--scope", "read:taks")
    good(server, "clients", "remove", "robot")


@test("M-09: store backup copies a running server's data, and the copy starts as a server with everything ended")
def _():
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        Client(server).tokens(Browser())
        copy = os.path.join(folder, "copy")
        said = good(server, "store", "backup", copy)
        check("auth.db" in said and "master.key" in said and "audit.jsonl" in said, said)
        equal([oct(os.stat(os.path.join(copy, name)).st_mode & 0o777) for name in os.listdir(copy)], ["0o600"] * len(os.listdir(copy)), "modes")
        refused(server, 64, "exists; name a new folder", "store", "backup", copy)
        equal(json.loads(good(server, "store", "check", "--data", copy, "--json"))["intact"], True, "the copy")
        equal(len(json.loads(good(server, "grants", "list", "--data", copy, "--json"))), 1, "grants in the copy")
        good(server, "grants", "end-all", "--yes", "--data", copy)
        equal(json.loads(good(server, "grants", "list", "--data", copy, "--json")), [], "grants after end-all")
        equal(len(json.loads(good(server, "grants", "list", "--json"))), 1, "the original goes on")
        server.stop()
        shutil.rmtree(server.data)
        shutil.copytree(copy, server.data)
        check(server.start(), server.output()[-400:])
        check("Your account" in Browser().sign_in(server.origin).get(server.origin + "/account").text, "ada signs in at the restored server")


@test("audit show filters by time, and --follow prints what happens")
def _():
    server = lab()
    check(json.loads(good(server, "audit", "show", "--since", "1h", "--json")), "of the last hour")
    equal(json.loads(good(server, "audit", "show", "--since", "2099-01-01", "--json")), [], "of the future")
    equal(json.loads(good(server, "audit", "show", "--until", "2020-01-01", "--json")), [], "of the past")
    process = subprocess.Popen([BINARY, "audit", "show", "--follow", "--json", "--data", server.data], stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(1.5)
        good(server, "users", "disable", "grace")
        good(server, "users", "enable", "grace")
        for line in process.stdout:
            event = json.loads(line)
            if event["action"] == "user.enabled":
                equal(event["user"], "grace", "who")
                break
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)


def commands(path=()):
    """Every command with its help."""
    done = subprocess.run([BINARY, *path, "--help"], capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"})
    equal(done.returncode, 0, f"--help of {path}")
    yield path, done.stdout
    block = re.search(r"\nSUBCOMMANDS:\n(.*?)(\n\n|\Z)", done.stdout, re.S)
    for name in re.findall(r"^  ([a-z][a-z-]+) ", block[1] if block else "", re.M):
        if name != "help":
            yield from commands((*path, name))


@test("every help fits 80 columns and has examples")
def _():
    for path, text in commands():
        for line in text.splitlines():
            check(len(line) <= 80, f"{' '.join(path)} --help: {len(line)} columns: {line}")
        # A line that was broken by the terminal leaves one word on a line of its own.
        lines = text.split("USAGE:")[0].splitlines()
        for before, line, after in zip(lines, lines[1:], lines[2:]):
            broken = len(before) > 60 and line and after and " " not in line and not line.isupper()
            check(not broken, f"{' '.join(path)} --help: {before!r} is too long for 80 columns, {line!r} stands alone")
        check("mcp-auth " in text.split("USAGE:")[0] or "EXAMPLE" in text, f"{path} has no example")


@test("the examples of every help run")
def _():
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        client = Client(server)
        token, _ = client.tokens(Browser())
        good(server, "clients", "add", "backend", "--redirect-uri", "https://app.example.com/cb")
        with open(os.path.join(folder, "password.txt"), "w") as file:
            file.write("a good long password\n")
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", os.path.join(folder, "signing.pem")],
                       check=True, capture_output=True)
        grant = json.loads(good(server, "grants", "list", "--json"))[0]["grant"]
        seen = 0
        for path, text in commands():
            text = re.sub(r" \\\n +", " ", text)
            for line in re.findall(r"^ +(mcp-auth .*)$", text.replace("\nUSAGE:", "\n\0").split("\0")[0], re.M):
                line = re.split(r"  +", line)[0]
                if not path or line.startswith(("mcp-auth demo", "mcp-auth users add backend")):
                    continue  # the first page only names commands; the demo has tests of its own
                line = line.replace("grant-3q2", grant).replace("/var/lib/notes", server.data).replace("/var/backups/notes-2026-11-26", os.path.join(folder, f"backup{seen}")).replace("~/.local/share/man/man1", "man1")
                line = re.sub(r" [|>] .*", "", line).replace("https://id.example.com", server.origin).replace("http://127.0.0.1:8000", server.origin)
                line = line.replace("https://mcp.example.com/mcp", server.url).replace(" --browser none", "")
                if line.startswith(("mcp-auth resources http", "mcp-auth prompts http")) and len(line.split()) > 3:
                    continue  # the demo has none to read; servers of others do, in test_client.py
                environment = {**os.environ, "XDG_DATA_HOME": folder + "/home", "MCP_AUTH_BROWSER": sys.executable + " " + BROWSER, "MCP_AUTH_TEST_PASSWORD": PASSWORD, "TOKEN": token, "MCP_AUTH_DATA": server.data, "PATH": os.path.dirname(BINARY) + ":" + os.environ["PATH"]}
                text_of_stdin = "another good password\n"
                # What an earlier example removed is there again for the next one.
                for again in (("clients", "add", "robot", "--grant", "client_credentials", "--scope", "read:tasks"), ("users", "add", "ada")):
                    subprocess.run([BINARY, *again], input="a good long password\n", text=True, capture_output=True, env=environment)
                for command_group, name in (("users", "ada"), ("users", "alan"), ("users", "robin")):
                    if f"users add {name}" in line:
                        subprocess.run([BINARY, command_group, "remove", name], capture_output=True, env=environment)
                if " add robot" in line or " add backend" in line:
                    subprocess.run([BINARY, "clients", "remove", line.split(" add ")[1].split()[0]], capture_output=True, env=environment)
                if "--sign-in" in line and "doctor" in line:
                    subprocess.run([BINARY, "users", "password", "ada"], input=PASSWORD + "\n", text=True, capture_output=True, env=environment)
                if "init" in path:
                    if not line.startswith("mcp-auth init"):
                        continue
                    shutil.rmtree(os.path.join(folder, "notes"), ignore_errors=True)
                try:
                    done = subprocess.run(["bash", "-c", line], input=text_of_stdin, capture_output=True, text=True, cwd=folder, env=environment,
                                          timeout=5 if "--follow" in line else 60)
                except subprocess.TimeoutExpired:
                    check("--follow" in line, f"{line} does not end")
                    seen += 1
                    continue
                # The log of this lab has no refused sign-in, which is the answer then.
                # The token of this lab is not one of the development issuer, and its user was removed by an earlier example.
                allowed = (0, 64) if "--action" in line else (0, 65) if "token verify" in line or "mcp-auth doctor http" in line else (0,)
                check(done.returncode in allowed, f"{line}: {done.returncode} {done.stderr}")
                seen += 1
        check(seen > 30, f"only {seen} examples were found")


@test("doctor and providers: findings with stable codes, exit codes that mean something, JSON for machines")
def _():
    server = lab()
    report = json.loads(good(server, "doctor", "--issuer", server.origin, "--json"))
    equal((report["usable"], report["keys"]), (True, 1), "our own server")
    equal([finding["code"] for finding in report["findings"] if finding["severity"] == "error"], [], "errors")
    other = command(server, "doctor", "--issuer", server.origin + "/elsewhere", "--json")
    equal((other.returncode, [finding["code"] for finding in json.loads(other.stdout)["findings"]]), (65, ["metadata_not_found"]), "another path")
    check(command(server, "doctor", "--issuer", "no url").returncode not in (0, 65), "no URL")
    names = [entry["id"] for entry in json.loads(good(server, "providers", "--json"))]
    check({"github", "google", "entra", "auth0", "keycloak", "okta"} <= set(names) and len(names) > 30, names)
    github = json.loads(good(server, "providers", "github", "--json", "--issuer", "https://mcp.acme.com"))
    equal(github["redirect_uri"], "https://mcp.acme.com/sign-in/callback/github", "the redirect URI")
    equal(github["variables"], ["GITHUB_HOST", "GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"], "the variables")
    refused(server, 64, "did you mean github", "providers", "githb")


@test("completion scripts and manual pages are written by a command, and know users and clients")
def _():
    server = lab()
    for shell in ("bash", "zsh", "fish"):
        script = good(server, "completions", shell)
        check("mcp-auth" in script and "rotate-secret" in script, shell)
    refused(server, 64, "bash", "completions", "tcsh")
    if shutil.which("bash"):
        with tempfile.NamedTemporaryFile("w", suffix=".bash") as file:
            file.write(good(server, "completions", "bash"))
            file.flush()
            equal(subprocess.run(["bash", "-n", file.name]).returncode, 0, "bash reads its script")
    script = good(server, "completions", "bash")
    request = re.search(r"---completion [^\"'\n]*", good(server, "completions", "fish"))
    check(request or "---completion" in script, "names are completed by asking the program")
    done = command(server, "---completion", "users", "show", "--", "positional@0", "3", "0", "mcp-auth", "users", "show", "")
    check("ada" in done.stdout.split() and "grace" in done.stdout.split(), f"{done.stdout} {done.stderr}")
    # A name in a database of somebody else must not run anything in the shell of whoever completes it.
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        shutil.copytree(server.data, data)
        connection = sqlite3.connect(os.path.join(data, "auth.db"))
        connection.execute("UPDATE users SET name = '$(touch${IFS}/tmp/pwned)x' WHERE name = 'grace'")
        connection.execute("PRAGMA user_version = 5")
        connection.commit()
        done = command(server, "---completion", "users", "show", "--", "positional@0", "5", "0", "mcp-auth", "users", "show", "--data", data, "")
        equal(done.stdout.split(), ["ada"], "names that a shell does not obey")
        equal(connection.execute("PRAGMA user_version").fetchone(), (5,), "no schema is migrated by the Tab key")
        connection.close()
    with tempfile.TemporaryDirectory() as folder:
        good(server, "man", "--directory", folder)
        pages = sorted(os.listdir(folder))
        check("mcp-auth.1" in pages and "mcp-auth-users-add.1" in pages and len(pages) > 30, pages)
        page = open(os.path.join(folder, "mcp-auth-users-add.1")).read()
        for text in (".TH", ".SH NAME", ".SH OPTIONS", "display\\-name"):
            check(text in page, f"{text} is not in {page}")
        if shutil.which("man"):
            done = subprocess.run(["man", "-l", "--warnings", os.path.join(folder, "mcp-auth.1")], capture_output=True, text=True, env={**os.environ, "MANPAGER": "cat"})
            check(done.returncode == 0 and "warning" not in done.stderr, done.stderr)


if __name__ == "__main__":
    main("command line")

"""What the documents show is what works: programs are built from outside the repository, Swift blocks are compiled, commands are run."""

import html.parser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from support import PASSWORD, Browser, Client, Server, check, equal, free_port, main, send, test

BINARY = os.path.abspath(sys.argv[1])
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
# The scratch folder of the repository, so that the dependencies are not built again. The command that is tested stays as it is there.
SCRATCH = os.environ.get("MCP_AUTH_OUTSIDE", os.path.join(ROOT, ".build"))
GUIDES = sorted(os.path.join("docs/guides", name) for name in os.listdir(os.path.join(ROOT, "docs/guides")) if name.endswith(".md"))
DOCUMENTS = ["README.md", "docs/README.md", *GUIDES]


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


def blocks(path, language):
    """The fenced blocks of a language, each with the HTML comment above it."""
    pattern = r"(?:<!-- (.*?) -->\n)?^```" + language + r"\n(.*?)^```"
    return [(comment or "", text) for comment, text in re.findall(pattern, read(path), re.S | re.M)]


class Outside:
    """A folder outside the repository, beside which the package lies under another name."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="mcp-auth-outside-")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    def swift(self, package, *arguments, timeout=1500):
        shutil.copy(os.path.join(ROOT, "Package.resolved"), os.path.join(self.folder, package, "Package.resolved"))
        done = subprocess.run(
            ["swift", *arguments, "--scratch-path", SCRATCH], cwd=os.path.join(self.folder, package), capture_output=True, text=True, timeout=timeout)
        check(done.returncode == 0, lambda: "swift " + " ".join(arguments) + ": " + "\n".join(
            line for line in (done.stdout + done.stderr).splitlines() if "error" in line or "warning: var" in line)[:1500] + done.stderr[-600:])
        return done.stdout


def built(name):
    """The program, copied away: the next package of the same name takes its place."""
    path = os.path.join(SCRATCH, "debug", name)
    copy = os.path.join(tempfile.mkdtemp(prefix="mcp-auth-program-"), name)
    shutil.copy(path, copy)
    return copy


def start(program, port_text="is running", environment=None):
    """Starts a server program in a folder of its own, and returns the process, its folder and what it said."""
    folder = tempfile.mkdtemp(prefix="mcp-auth-document-")
    out = os.path.join(folder, "said")
    with open(out, "w") as file:
        process = subprocess.Popen([program], cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env={**os.environ, **(environment or {})})
    for _ in range(400):
        said = open(out).read()
        if port_text in said:
            return process, folder, said
        check(process.poll() is None, lambda: f"ended with {process.returncode}: {open(out).read()}")
        time.sleep(0.05)
    check(False, f"did not start: {open(out).read()}")


def stop(process):
    process.send_signal(signal.SIGINT)
    equal(process.wait(20), 0, "Ctrl-C")


def linked(outside, package, name="other-name"):
    """Puts the package beside a package, under a folder name of its own."""
    link = os.path.join(outside.folder, name)
    if not os.path.exists(link):
        os.symlink(ROOT, link)
    path = os.path.join(outside.folder, package, "Package.swift")
    text = open(path).read()
    check("../swift-mcp-auth" in text, "the manifest names the package")
    with open(path, "w") as file:
        file.write(text.replace("../swift-mcp-auth", os.path.realpath(link)))


@test("README: the two programs of two files build from outside, start, and protect their tool")
def _():
    files = [(comment[6:], text) for comment, text in blocks("README.md", "swift") if comment.startswith("file: ")]
    equal(len(files), 4, "files that README shows")
    with Outside() as outside:
        for path, text in files:
            port = free_port()
            outside.write(path, text.replace("8000", "18641"))
        for package in ("passwords", "provider"):
            linked(outside, package)
            outside.swift(package, "build")
            program = built("notes")
            process, _, said = start(program)
            try:
                reply = send("POST", "http://127.0.0.1:18641/mcp", b"{}", {"Content-Type": "application/json"})
                equal(reply.status, 401, "without a token")
                check("greet:people" in reply.header("WWW-Authenticate"), reply.header("WWW-Authenticate"))
                if package == "passwords":
                    browser = Browser("ada", "choose a longer one")
                    browser.sign_in("http://127.0.0.1:18641")
                    check("Your account" in browser.get("http://127.0.0.1:18641/account").text, "ada signs in")
            finally:
                stop(process)


@test("mcp-auth init: the package builds, its tests pass, it runs, and so does one for a provider")
def _():
    with Outside() as outside:
        # A path with dots is written as what it means.
        dotted = os.path.relpath(ROOT, os.path.realpath(outside.folder))
        for arguments in (
            ["notes", "--package", dotted], ["my-notes", "--provider", "auth0"], ["team", "--sign-in", "github", "--admit-organization", "acme"],
            ["others", "--sign-in", "google", "--admit-email", "ada@example.com", "--admit-domain", "example.com"], ["one", "--sign-in", "entra"],
        ):
            done = subprocess.run([BINARY, "init", *arguments], cwd=outside.folder, capture_output=True, text=True)
            equal(done.returncode, 0, done.stderr)
            check("swift run " + arguments[0] in done.stdout, done.stdout)
        done = subprocess.run([BINARY, "init", "notes"], cwd=outside.folder, capture_output=True, text=True)
        equal((done.returncode, "exists already" in done.stderr), (64, True), done.stderr)
        outside.swift("notes", "build", "--build-tests")
        outside.swift("notes", "test", "--skip-build")
        port = free_port()
        process, folder, said = start(built("notes"), environment={"PORT": str(port)})
        try:
            password = re.search(r"with the password (\S+)", said)[1]
            browser = Browser("ada", password)
            browser.sign_in(f"http://127.0.0.1:{port}")
            check("Your account" in browser.get(f"http://127.0.0.1:{port}/account").text, "ada signs in")
            check(os.path.exists(os.path.join(folder, "data", "audit.jsonl")), "an audit log")
        finally:
            stop(process)
        outside.swift("my-notes", "build")
        for name in ("team", "others", "one"):
            outside.swift(name, "build")
        process, folder, said = start(built("team"), environment={"PORT": str(port), "GITHUB_CLIENT_ID": "id", "GITHUB_CLIENT_SECRET": "secret"})
        try:
            page = send("GET", f"http://127.0.0.1:{port}/account").text
            check("Continue with GitHub" in page or "GitHub" in page, page)
        finally:
            stop(process)
        done = subprocess.run([built("team")], cwd=folder, capture_output=True, text=True, env={**os.environ, "PORT": str(port)}, timeout=30)
        equal((done.returncode, "set GITHUB_CLIENT_ID" in done.stderr), (78, True), done.stderr)
        # An empty list of addresses would admit everyone.
        for text in ("", ",", " , ", "everyone"):
            done = subprocess.run([built("others")], cwd=folder, capture_output=True, text=True, timeout=30, env={
                **os.environ, "PORT": str(port), "GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "secret", "ADMIT_EMAILS": text})
            equal((done.returncode, "admit everyone" in done.stderr), (78, True), f"{text!r}: {done.stderr}")
        done = subprocess.run([BINARY, "init", "x", "--provider", "google"], cwd=outside.folder, capture_output=True, text=True)
        equal((done.returncode, "--sign-in google" in done.stderr), (64, True), done.stderr)
        for provider in ("entra", "keycloak", "okta", "other"):
            name = "with-" + provider
            done = subprocess.run([BINARY, "init", name, "--provider", provider], cwd=outside.folder, capture_output=True, text=True)
            equal(done.returncode, 0, done.stderr)
            for path in ("Sources/%s/main.swift" % name, "README.md", "Package.swift"):
                check(os.path.getsize(os.path.join(outside.folder, name, path)) > 100, path)


@test("guides: the package of the guide builds, its tests pass, and it runs, also as the deployment guide changes it")
def _():
    own = [(comment[10:], text) for comment, text in blocks("docs/guides/own-server.md", "swift") if comment.startswith("file: own/")]
    check(len(own) >= 4, f"files: {[path for path, _ in own]}")
    with Outside() as outside:
        for path, text in own:
            outside.write("own/" + path, text)
        linked(outside, "own")
        outside.swift("own", "build", "--build-tests")
        outside.swift("own", "test", "--skip-build")
        process, _, said = start(built("notes"), environment={"PORT": str(free_port())})
        stop(process)
        for comment, text in blocks("docs/guides/deploying.md", "swift"):
            if comment.startswith("file: deploy/"):
                outside.write("own/" + comment[13:], text)
        outside.swift("own", "build")


# What stands around the fragments of the documents.
PRELUDE = """
struct Greeting: Decodable { let name: String }
struct AddNote: Decodable { let text: String }
struct Note: Codable, Sendable { let id: Int, text: String }
actor Notes {
    func all(of owner: String) -> [Note] { [] }
    func add(_ text: String, for owner: String) -> Note { Note(id: 1, text: text) }
}
func tasks(of owner: String) async -> HTTPReply { HTTPReply(.ok) }
"""

PARAMETERS = (
    "auth: ResourceServer, server: MCPServer, issuer: AuthorizationServer, origin: String, resource: ProtectedResource, request: HTTPRequest, "
    "notes: Notes, configuration: AuthorizationServerConfiguration, url: String, transport: MCPServer.Transport, policy: ScopePolicy, "
    "port: Int, metrics: PrometheusMetrics, trust: Trust")


@test("every Swift block of README and the guides compiles")
def _():
    names = ["MCPAuth", "MCPAuthorizationServer", "MCPServer", "MCPAuthHummingbird", "MCPAuthHTTPClient", "MCPAuthSQLite", "MCPAuthMetrics", "MCPAuthTesting", "MCPAuthClient", "MCPClient", "IdentityProviders", "OAuth", "JOSE"]
    more = ["import Foundation", "import HTTPTypes", "import Hummingbird", "import Logging", "import Metrics", "import Crypto", "import Testing"]
    with Outside() as outside:
        count = 0
        for path in DOCUMENTS:
            for comment, text in blocks(path, "swift"):
                if comment.startswith("file: ") or "swift-tools-version" in text or comment.startswith("not compiled"):
                    continue
                count += 1
                imports = set(re.findall(r"^ *(?:public )?import \w+$", text, re.M))
                body = re.sub(r"^ *(?:public )?import \w+\n", "", text, flags=re.M)
                body = re.sub(r"\{ \.\.\. \}|\.\.\.$", "{ }", body, flags=re.M) if "..." in body else body
                head = "\n".join(sorted(imports | set(more) | {"import " + name for name in names}))
                where = f"// {path}\n"
                if comment.startswith("top-level"):
                    source = f"{head}\n{where}enum Block{count} {{\n{body}\n}}\n"
                else:
                    result = " -> HTTPReply" if re.search(r"return (reply|await)", body) else ""
                    # Names that a block defines itself shadow the ones that it is given.
                    source = f"{head}\n{where}func block{count}({PARAMETERS}) async throws{result} {{ do {{\n{body}\n}} }}\n"
                outside.write(f"blocks/Sources/blocks/Block{count}.swift", source)
        check(count > 10, f"only {count} blocks")
        head = "\n".join("import " + name for name in ("OAuth",))
        outside.write("blocks/Sources/blocks/Prelude.swift", head + "\nimport HTTPTypes\n" + PRELUDE)
        products = ", ".join(f'.product(name: "{name}", package: "swift-mcp-auth")' for name in names)
        outside.write("blocks/Package.swift", f"""// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "blocks", platforms: [.macOS(.v15)], dependencies: [.package(name: "swift-mcp-auth", path: "../swift-mcp-auth")],
    targets: [.target(name: "blocks", dependencies: [{products}])])
""")
        linked(outside, "blocks")
        outside.swift("blocks", "build", "--target", "blocks")


@test("the commands of README run, in their order")
def _():
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        Client(server).tokens(Browser())
        browser = f"{sys.executable} {os.path.join(ROOT, 'Tests/Interop/browser.py')}"
        environment = {**os.environ, "XDG_DATA_HOME": folder, "MCP_AUTH_BROWSER": browser, "MCP_AUTH_TEST_PASSWORD": PASSWORD,
                       "MCP_AUTH_DATA": server.data, "PATH": os.path.dirname(BINARY) + ":" + os.environ["PATH"]}
        run = 0
        for _, text in blocks("README.md", "console"):
            for line in re.findall(r"^\$ (?:\.build/debug/)?(mcp-auth .*)$", text, re.M):
                line = line.replace("http://127.0.0.1:8000", server.origin).replace("https://mcp.example.com/mcp", server.url)
                line = re.sub(r"  +#.*$", "", line)
                done = subprocess.run(
                    ["bash", "-c", line], input="a good long password\n", capture_output=True, text=True, env=environment, cwd=folder, timeout=60)
                equal(done.returncode, 0, f"{line}: {done.stderr}")
                run += 1
        check(run >= 8, f"only {run} commands")
        curl = next(line for _, text in blocks("README.md", "console") for line in re.findall(r"^\$ (curl .*)$", text, re.M))
        done = subprocess.run(["bash", "-c", curl.replace("http://127.0.0.1:8000", server.origin)], capture_output=True, text=True)
        for part in ("401 Unauthorized", 'scope="profile read:tasks write:tasks delete:tasks"', "resource_metadata="):
            check(part in done.stdout, f"{part} is not in {done.stdout}")


@test("links between the documents lead somewhere, and so do their anchors")
def _():
    def anchors(text):
        return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.M)}

    for path in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] + ["docs/" + n for n in os.listdir(os.path.join(ROOT, "docs")) if n.endswith(".md")] + GUIDES:
        text = re.sub(r"```.*?```", "", read(path), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
            check(os.path.exists(os.path.join(ROOT, full)), f"{path}: {target}")
            if anchor and full.endswith(".md"):
                check(anchor in anchors(read(full)), f"{path}: {target}")


if __name__ == "__main__":
    main("documents")

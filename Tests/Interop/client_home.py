"""What the tests of our client share: the home of a user, and protected servers of other projects."""

import os
import socket
import subprocess
import sys
import tempfile
import time

from support import PASSWORD, check, equal, free_port

BINARY = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))
BROWSER = f"{sys.executable} {HERE}/browser.py"


def python_of(environment):
    return subprocess.check_output([os.path.join(HERE, "../../Scripts/venv"), environment], text=True).strip() + "/bin/python"


class Home:
    """The home of one user: a token store, a configuration, and a browser."""

    def __init__(self, **variables):
        self.folder = tempfile.mkdtemp(prefix="mcp-auth-home-")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MCP_AUTH_") or name == "MCP_AUTH_VENVS"},
            "XDG_DATA_HOME": self.folder + "/data", "XDG_CONFIG_HOME": self.folder + "/config", "MCP_AUTH_TEST_PASSWORD": PASSWORD,
            "MCP_AUTH_BROWSER": BROWSER, **variables}
        self.store = self.folder + "/data/mcp-auth/tokens"

    def run(self, *arguments, given=None, timeout=60, **variables):
        environment = {name: value for name, value in {**self.environment, **variables}.items() if value is not None}
        return subprocess.run(
            [BINARY, *arguments], input=given, stdin=subprocess.DEVNULL if given is None else None, capture_output=True, text=True, timeout=timeout,
            env=environment)

    def start(self, *arguments, **options):
        return subprocess.Popen([BINARY, *arguments], env=self.environment, **options)

    def good(self, *arguments, **options):
        done = self.run(*arguments, **options)
        equal(done.returncode, 0, f"{arguments}: {done.stderr}")
        return done.stdout

    def fails(self, code, said, *arguments, **options):
        done = self.run(*arguments, **options)
        equal(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        check(said in done.stderr, lambda: f"{arguments}: {said!r} is not in {done.stderr!r}")
        return done.stderr


class Program:
    """A program that listens on a port of this machine, with a file of statistics: a word a line."""

    def __init__(self, *command):
        self.folder = tempfile.mkdtemp(prefix="mcp-auth-stranger-")
        self.statistics = self.folder + "/statistics"
        self.port = free_port()
        self.command = [str(word) for word in command]
        self.start()

    def arguments(self):
        raise NotImplementedError

    def start(self):
        with open(self.folder + "/log", "a") as log:
            self.process = subprocess.Popen(self.arguments(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            check(self.process.poll() is None, lambda: open(self.folder + "/log").read()[-600:])
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server did not start")

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"

    def count(self, word):
        try:
            with open(self.statistics) as file:
                return file.read().split().count(word)
        except FileNotFoundError:
            return 0

    def stop(self):
        self.process.terminate()
        self.process.wait(15)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Stranger(Program):
    """A protected MCP server of another project: a kind of stranger.py."""

    def __init__(self, environment, kind, seconds=3600, issuer=None):
        self.seconds, self.issuer = seconds, issuer
        super().__init__(python_of(environment), HERE + "/stranger.py", kind)

    def arguments(self):
        return [*self.command, str(self.port), str(self.seconds), self.statistics, *([self.issuer] if self.issuer else [])]

    @property
    def url(self):
        return self.origin + "/mcp"


class AuthlibServer(Program):
    """An authorization server written with authlib."""

    def __init__(self, seconds=3600):
        self.seconds = seconds
        self.proxy = None
        super().__init__(python_of("providers"), HERE + "/authlib_server.py")

    def arguments(self):
        return [*self.command, str(self.port), str(self.seconds), self.statistics, *([self.proxy] if self.proxy else [])]

    def serve_proxy(self, redirect_uri):
        """Starts again, with a client for a proxy."""
        self.stop()
        self.proxy = redirect_uri
        self.start()


def at_terminal(home, *arguments, answers):
    """A command at a terminal whose user types these answers, each when it is asked for. Returns what the terminal showed, and the exit code."""
    import pty
    import select
    parent, child = pty.openpty()
    process = home.start(*arguments, stdin=child, stdout=child, stderr=child)
    os.close(child)
    shown, waiting = "", list(answers)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([parent], [], [], 0.2)[0]:
            try:
                data = os.read(parent, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data.decode("utf-8", "replace")
        if waiting and waiting[0][0] in shown.split("\0")[-1]:
            os.write(parent, waiting.pop(0)[1].encode() + b"\n")
            shown += "\0"
    process.wait(20)
    os.close(parent)
    return shown, process.returncode

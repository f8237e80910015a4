"""The pages in Chromium: without JavaScript, by keyboard, in frames, on a phone, to a screen reader, and with what strangers call themselves."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from support import (
    PASSWORD, SECRETS, Client, Failure, Server, check, equal, main, new_verifier, query_of, test,
)

XSS = [
    '"><svg/onload=window.pwned=1>', '"\u0301 autofocus onfocus=window.pwned=1 x="', "<\u0301img src=x onerror=window.pwned=1>", "</title><script>window.pwned=1</script>",
    "{{7*7}}${7*7}", "javascript:window.pwned=1", "<\u0338script>window.pwned=1</script>", "'-window.pwned=1-'", "\u202egnp.exe\u200b\u2066x",
]


class Chromium:
    """One tab of a headless browser, driven over a pipe (the DevTools protocol)."""

    def __init__(self, binary):
        self.folder = tempfile.mkdtemp(prefix="mcp-auth-chromium-")
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        command = [
            binary, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe",
            f"--user-data-dir={self.folder}", "about:blank",
        ]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "chromium", *command], pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        self.out, self.into = os.fdopen(ours_out, "wb", buffering=0), os.fdopen(ours_in, "rb")
        self.number, self.events, self.session = 0, [], None
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.command(f"{domain}.enable")

    def command(self, method, **params):
        self.number += 1
        me = self.number
        message = {"id": me, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == me:
                if "error" in answer:
                    raise Failure(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def read(self):
        data = b""
        while not data.endswith(b"\0"):
            byte = self.into.read(1)
            if not byte:
                raise Failure("chromium ended")
            data += byte
        return json.loads(data[:-1])

    def wait_for(self, method):
        while True:
            for index, event in enumerate(self.events):
                if event.get("method") == method:
                    del self.events[: index + 1]
                    return event["params"]
            self.events.append(self.read())

    def go(self, url):
        self.events.clear()
        self.command("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def evaluate(self, expression):
        result = self.command("Runtime.evaluate", expression=expression, returnByValue=True)
        check("exceptionDetails" not in result, f"{expression}: {result.get('exceptionDetails')}")
        return result["result"].get("value")

    def press(self, key, code=None, text=None):
        names = {"Tab": 9, "Enter": 13, " ": 32}
        params = {"key": key, "code": code or key, "windowsVirtualKeyCode": names.get(key, 0)}
        self.command("Input.dispatchKeyEvent", type="keyDown", **params, **({"text": text} if text else {}))
        self.command("Input.dispatchKeyEvent", type="keyUp", **params)

    def type(self, text):
        self.command("Input.insertText", text=text)

    def submit_by_enter(self):
        self.events.clear()
        self.press("Enter", text="\r")
        self.wait_for("Page.loadEventFired")

    def focus_by_tab(self, selector, limit=40):
        """Goes on with the Tab key until the element has the focus."""
        # The buttons of a decision are there after a moment, so that a click that was meant for another page hits nothing.
        time.sleep(0.9)
        for _ in range(limit):
            self.press("Tab")
            if self.evaluate(f"document.activeElement && document.activeElement.matches({json.dumps(selector)})"):
                return
        raise Failure(f"nobody gets to {selector} with the Tab key")

    def look(self, width=1000, height=900, dark=False):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Callback:
    """The client's own web server, to which the browser comes back."""

    def __init__(self):
        outer = self
        self.paths = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.paths.append(self.path)
                if outer.leads_on_to:
                    self.send_response(307)
                    self.send_header("Location", outer.leads_on_to + "?" + self.path.partition("?")[2])
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                body = outer.page.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.page = "<title>back</title>"
        self.leads_on_to = None
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def codes(self):
        return [query_of(path)["code"] for path in self.paths if "code=" in path]


class Lab:
    server = chromium = callback = None


def lab():
    if Lab.server is None:
        Lab.server, Lab.callback = Server(), Callback()
        Lab.chromium = Chromium(BINARY)
    return Lab


def authorization(name="A client", **changes):
    client = Client(lab().server, lab().callback.origin + "/callback", client_name=name)
    return client, client.authorization_url(verifier=new_verifier(), **changes)


def pages_of(chromium, show):
    """Calls `show` on each page that a person meets between a client and their account."""
    client, url = authorization("Pages")
    chromium.command("Network.clearBrowserCookies")
    chromium.go(url)
    show("sign-in")
    sign_in(chromium)
    show("consent")
    chromium.evaluate("document.querySelector('button[value=choose]').click()")
    chromium.wait_for("Page.loadEventFired")
    show("choose")
    chromium.evaluate("document.querySelector('button[value=allow]').click()")
    chromium.wait_for("Page.loadEventFired")
    chromium.go(lab().server.origin + "/account")
    show("account")
    chromium.go(lab().server.origin + "/device")
    show("device")
    chromium.go(lab().server.origin + "/authorize")
    show("error")


def sign_in(chromium, user="ada"):
    chromium.events.clear()
    chromium.evaluate(
        f"document.querySelector('#username').value={json.dumps(user)};document.querySelector('#password').value={json.dumps(PASSWORD)};"
        "document.querySelector('form').submit()")
    chromium.wait_for("Page.loadEventFired")


def first_party(name):
    def register(function):
        @test(name)
        def run():
            if BINARY is None:
                print("skipped: no chromium", file=sys.stderr)
                return
            function(lab().chromium)

        return run

    return register


BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chromium-headless-shell")


@first_party("pages: a client whose callback sends the browser on to somewhere else, as hosted ones do, gets its code all the way")
def _(chromium):
    first, second = Callback(), Callback()
    first.leads_on_to = f"http://localhost:{second.server.server_port}/landed"
    client = Client(lab().server, first.origin + "/callback", client_name="Two hops")
    chromium.command("Network.clearBrowserCookies")
    chromium.go(client.authorization_url(verifier=new_verifier()))
    sign_in(chromium)
    chromium.events.clear()
    chromium.evaluate("document.querySelector('button[value=allow]').click()")
    end = time.monotonic() + 15
    while not second.codes:
        check(time.monotonic() < end, f"the browser stopped on its way: {first.paths}")
        time.sleep(0.1)
    equal(len(first.codes), 1, "one visit of the callback")


@first_party("pages: from a client to its code without JavaScript, with nothing but a keyboard")
def _(chromium):
    client, url = authorization("Keyboard only")
    chromium.command("Network.clearBrowserCookies")
    chromium.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.look()
        chromium.go(url)
        for selector, text in (("#username", "ada"), ("#password", PASSWORD)):
            chromium.focus_by_tab(selector)
            chromium.type(text)
        chromium.submit_by_enter()
        chromium.focus_by_tab("button[value=choose]")
        chromium.submit_by_enter()
        chromium.focus_by_tab("input[value='delete:tasks']")
        chromium.press(" ", "Space", " ")
        chromium.focus_by_tab("button[value=allow]")
        before = len(lab().callback.codes)
        chromium.submit_by_enter()
        equal(len(lab().callback.codes), before + 1, "a code came back")
        SECRETS.add(lab().callback.codes[-1])
        event = lab().server.audit("consent", "allowed")[-1]
        equal(event["scope"], "read:tasks write:tasks", "what was left ticked")
    finally:
        chromium.command("Emulation.setScriptExecutionDisabled", value=False)


@first_party("pages: from a client to its code through an identity provider, without JavaScript, with nothing but a keyboard")
def _(chromium):
    server = Server("--sign-in", "simulated", "--sign-in", "password")
    callback = Callback()
    try:
        client = Client(server, callback.origin + "/callback", client_name="Through a provider")
        chromium.command("Network.clearBrowserCookies")
        chromium.command("Emulation.setScriptExecutionDisabled", value=True)
        chromium.look(390, 844)
        chromium.go(client.authorization_url(verifier=new_verifier()))
        width = chromium.evaluate("document.documentElement.scrollWidth")
        check(width <= 390, f"the sign-in page is {width} pixels wide on a phone")
        chromium.focus_by_tab("button.provider")
        chromium.submit_by_enter()
        check(chromium.evaluate("document.body.innerText").find("You sign in with") >= 0, "the consent page names the provider")
        chromium.focus_by_tab("button[value=allow]")
        chromium.submit_by_enter()
        check("/simulated/authorize" in chromium.evaluate("location.pathname"), "the browser is at the provider")
        chromium.focus_by_tab("a")
        chromium.submit_by_enter()
        equal(len(callback.codes), 1, "a code came back")
        SECRETS.add(callback.codes[-1])
        chromium.go(server.origin + "/account")
        check("Accounts to sign in with" in chromium.evaluate("document.body.innerText"), "the account page lists the connected account")
        blocked = [event["params"]["entry"]["text"] for event in chromium.events if event.get("method") == "Log.entryAdded"]
        equal([text for text in blocked if "Content Security Policy" in text], [], "nothing is blocked")
    finally:
        chromium.command("Emulation.setScriptExecutionDisabled", value=False)
        chromium.look()
        server.remove()


@first_party("B-02, B-03, W-02: nothing that strangers call themselves becomes markup, on any page")
def _(chromium):
    server = lab().server
    # Beside the logo and the field that has the focus, which are on every page.
    clean = (
        "document.querySelectorAll('script,svg,img:not(.logo),iframe,[onfocus],[onload],[onerror],base,object,"
        "[autofocus]:not(#username):not(#password):not(#user_code)').length")

    def verify(what):
        equal(chromium.evaluate("typeof window.pwned"), "undefined", f"{what}: a script ran")
        equal(chromium.evaluate(clean), 0, f"{what}: markup of a stranger's")
        equal(chromium.evaluate("document.querySelectorAll('main.card').length"), 1, f"{what}: the layout")

    chromium.command("Network.clearBrowserCookies")
    chromium.look()
    for text in XSS:
        client, url = authorization(text, state=text, login_hint=text, nonce=text)
        chromium.go(url)
        verify(f"sign-in {text!r}")
        chromium.evaluate(f"document.querySelector('#username').value={json.dumps(text)};document.querySelector('#password').value='x';document.querySelector('form').submit()")
        chromium.wait_for("Page.loadEventFired")
        verify(f"sign-in again {text!r}")
        chromium.command("Network.clearBrowserCookies")
        quoted = urllib.parse.quote(text)
        for path in ("/device?user_code=", "/authorize?client_id=", "/consent?transaction=", "/authorize?request_uri=urn:ietf:params:oauth:request_uri:"):
            chromium.go(server.origin + path + quoted)
            verify(f"{path} {text!r}")
    chromium.go(authorization(XSS[0])[1])
    sign_in(chromium)
    for text in XSS:
        chromium.go(authorization(text)[1])
        verify(f"consent {text!r}")
        check("Allow" in chromium.evaluate("document.querySelector('h1').textContent"), "the question")
        chromium.go(server.origin + "/device")
        chromium.evaluate(f"document.querySelector('#user_code').value={json.dumps(text)};document.querySelector('form').submit()")
        chromium.wait_for("Page.loadEventFired")
        verify(f"device {text!r}")
    refused = [e for e in chromium.events if e.get("method") == "Log.entryAdded" and "Content Security Policy" in e["params"]["entry"].get("text", "")]
    equal(refused, [], "the policy had nothing to refuse")


@first_party("B-01: no page is shown in a frame")
def _(chromium):
    server = lab().server
    targets = [server.origin + path for path in ("/account", "/authorize", "/device", "/sign-in")] + [authorization()[1]]
    lab().callback.page = "<title>evil</title>" + "".join(f'<iframe id=f{i} src="{u.replace("&", "&amp;")}"></iframe>' for i, u in enumerate(targets))
    try:
        chromium.look()
        chromium.go(lab().callback.origin + "/evil")
        time.sleep(1)
        tree = chromium.command("Page.getFrameTree")["frameTree"]
        frames = [child["frame"] for child in tree.get("childFrames", [])]
        equal(len(frames), len(targets), "frames")
        for frame in frames:
            check(frame["url"].startswith("chrome-error:") or frame.get("unreachableUrl"), f"shown in a frame: {frame['url']}")
    finally:
        lab().callback.page = "<title>back</title>"


@first_party("pages: on a phone and in the dark nothing is cut off, and what is written can be read (WCAG AA)")
def _(chromium):
    contrast = """
    (() => {
      const rgb = c => (c.match(/[\\d.]+/g) || []).map(Number);
      const lum = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
      const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > .99) return c; } return [255, 255, 255]; };
      const bad = [];
      for (const e of document.querySelectorAll('h1,p,label,li,dt,dd,button,a,code,span,legend,strong')) {
        if (!e.textContent.trim() || !e.getClientRects().length) continue;
        const a = lum(rgb(getComputedStyle(e).color)), b = lum(ground(e));
        const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (ratio < 4.5) bad.push(e.tagName + ' ' + e.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
      }
      return bad;
    })()"""
    small = """[...document.querySelectorAll('button,a.button,input:not([type=hidden]):not([type=checkbox])')]
      .filter(e => e.getBoundingClientRect().height < 43).map(e => e.outerHTML.slice(0, 60))"""
    for dark in (False, True):

        def show(page):
            for width in (1000, 390, 320):
                chromium.look(width, 800, dark)
                what = f"{page}, {width} wide, {'dark' if dark else 'light'}"
                check(chromium.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{what}: wider than the screen")
                equal(chromium.evaluate(contrast), [], f"{what}: hard to read")
                equal(chromium.evaluate(small), [], f"{what}: too small for a finger")

        pages_of(chromium, show)


@first_party("pages: to a screen reader everything has a name, a language and one heading")
def _(chromium):
    chromium.look()

    def show(page):
        equal(chromium.evaluate("document.documentElement.lang"), "en", page)
        equal(chromium.evaluate("document.querySelectorAll('h1').length"), 1, f"{page}: headings")
        equal(chromium.evaluate("document.querySelectorAll('main').length"), 1, f"{page}: main")
        check(chromium.evaluate("document.title"), f"{page}: title")
        for node in chromium.command("Accessibility.getFullAXTree")["nodes"]:
            role = node.get("role", {}).get("value")
            if role in ("textbox", "checkbox", "button", "link", "image") and not node.get("ignored"):
                check(node.get("name", {}).get("value", "").strip(), f"{page}: a {role} without a name")

    pages_of(chromium, show)


@first_party("client: one command and one click connect it, and never again until the user ends the connection")
def _(chromium):
    from client_home import Home

    server = lab().server
    home = Home(MCP_AUTH_BROWSER="none")
    chromium.command("Network.clearBrowserCookies")
    process = home.start("login", server.url, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    url = next(line.strip() for line in process.stderr if "/authorize?" in line)
    chromium.go(url)
    sign_in(chromium)
    time.sleep(0.9)
    chromium.events.clear()
    chromium.evaluate("document.querySelector('button[value=allow]').click()")
    chromium.wait_for("Page.loadEventFired")
    process.wait(20)
    equal(process.returncode, 0, process.stderr.read())
    equal(chromium.evaluate("document.querySelector('h1').textContent"), "You can close this window", "the page at the end")
    check(chromium.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") != "0px", "its style sheet is blocked")
    check("code=" not in chromium.evaluate("document.body.textContent"), "the page shows the answer")
    nobody = {"MCP_AUTH_BROWSER": None}
    for _ in range(3):
        home.good("call", server.url, "whoami", **nobody)
    # The user ends the connection; the next command needs a sign-in, and says so.
    chromium.go(server.origin + "/account")
    chromium.events.clear()
    chromium.evaluate("document.querySelector(\"form[action$='/account/disconnect'] button\").click()")
    chromium.wait_for("Page.loadEventFired")
    home.fails(77, "mcp-auth login", "call", server.url, "whoami", **nobody)


def close():
    if Lab.chromium:
        Lab.chromium.close()
    if Lab.server:
        Lab.server.remove()


if __name__ == "__main__":
    try:
        main("browser")
    finally:
        close()

#!/usr/bin/env python3
"""The browser of a test: signs in as a user, decides, and opens the address to which the server sends it.

    browser.py [--user NAME] [--decision allow|deny] URL

The password is in MCP_AUTH_TEST_PASSWORD.
"""

import argparse
import os
import sys
import urllib.request

import glewlwyd
from support import Browser, Forms

parser = argparse.ArgumentParser()
parser.add_argument("--user", default="ada")
parser.add_argument("--decision", default="allow")
parser.add_argument("url")
options = parser.parse_args()


class AnyBrowser(Browser):
    """Also answers the pages of other projects."""

    def answer(self, url, reply):
        if answered := glewlwyd.answer(self, url):
            return answered
        # The consent of FastMCP's proxy.
        for form in Forms(reply.text).forms:
            if ("action", "approve") in form["buttons"]:
                self.consents += 1
                return url, self.submit(url, form, {"action": "approve" if self.decision == "allow" else "deny"})
        return super().answer(url, reply)


answer = AnyBrowser(user=options.user, password=os.environ["MCP_AUTH_TEST_PASSWORD"], decision=options.decision).authorize(options.url)
try:
    with urllib.request.urlopen(answer, timeout=10) as page:
        print(page.status)
except OSError as error:
    sys.exit(f"{answer}: {error}")

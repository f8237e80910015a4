"""A person at a browser who signs in with an identity provider."""

import re
import urllib.parse

from support import Browser, Forms, check, visible_text


class Person(Browser):
    """Signs in with a provider, whatever the pages of the provider ask for."""

    def __init__(self, provider, account="Ada Lovelace", at_provider=None, **options):
        super().__init__(**options)
        self.provider = provider
        self.account = account
        self.at_provider = at_provider  # another browser of the same person, where the provider is a server of ours
        self.departures = []

    def answer(self, url, reply):
        check(reply.status == 200, lambda: f"{url.split('?')[0]} answered {reply.status}: {visible_text(reply.text)[:300]}")
        if "/simulated/authorize" in url:
            self.departures.append(url)
            check("cookie" not in str(reply.headers).lower() or not reply.header("Set-Cookie"), "the provider sets a cookie")
            links = dict(re.findall(r'<a href="([^"]+)"><strong>([^<]+)', reply.text))
            link = next(link for link, name in links.items() if name == self.account)
            target = urllib.parse.urljoin(url, link.replace("&amp;", "&"))
            return target, self.get(target)
        forms = Forms(reply.text).forms
        for form in forms:
            if any(name == "provider" and value == self.provider for name, value in form["buttons"]):
                return url, self.submit(url, form, {"provider": self.provider})
        # The form of oidc-provider-mock asks for a subject.
        for form in forms:
            if "sub" in form["types"]:
                self.departures.append(url)
                return url, self.request("POST", urllib.parse.urljoin(url, form["action"] or url), {**form["fields"], "sub": self.account})
        return super().answer(url, reply)

public import HTTPTypes
import JOSE
public import OAuth

extension SimulatedProvider {
    /// The page of the authorization endpoint, for a browser: the accounts to choose from, and a way to say no. Nil for
    /// another path.
    ///
    /// Every visitor can sign in as any account. Serve it on a loopback address only.
    public func reply(to call: HTTPCall) -> HTTPReply? {
        guard let endpoint = WebURL(behaviour.authorization), call.path == endpoint.path else { return nil }
        guard call.request.method == .get else {
            return HTTPReply.error(OAuthError(.invalidRequest, "use GET here"), status: .methodNotAllowed).with(.allow, "GET")
        }
        do throws(OAuthError) {
            let form = try Form(queryOf: call.request.path ?? "")
            let request = Form(form.fields.filter { $0.name != "simulated_account" }.map { ($0.name, $0.value) })
            let url = behaviour.authorization + "?" + request.encoded
            guard let choice = try form.single("simulated_account") else { return page(request) }
            let answer = choice == "-" ? try authorize(url, as: accounts.first?.subject ?? "", denies: true) : try authorize(url, as: choice)
            guard case .redirect(let location) = answer else {
                throw OAuthError(.invalidRequest, "a provider that answers by form_post has no page here")
            }
            return HTTPReply(.seeOther, [.location: location, .cacheControl: "no-store"])
        } catch { return HTTPReply.error(error) }
    }

    private func page(_ request: Form) -> HTTPReply {
        func escaped(_ text: String) -> String {
            text.unicodeScalars.map { scalar in
                switch scalar {
                case "<": "&lt;"
                case ">": "&gt;"
                case "&": "&amp;"
                case "\"": "&quot;"
                default: String(scalar)
                }
            }.joined()
        }
        let path = WebURL(behaviour.authorization)?.path ?? "/"
        func link(_ choice: String) -> String { escaped(path + "?" + request.encoded + "&simulated_account=" + Form.encode(choice)) }
        let rows = accounts.map { account in
            """
            <li><a href="\(link(account.subject))"><strong>\(escaped(account.name))</strong><span>\(escaped(account.email))</span></a></li>
            """
        }.joined(separator: "\n")
        let html = """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark"><meta name="robots" content="noindex"><title>Simulated provider</title>
            <style>
            body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.5 system-ui, sans-serif;
              background: light-dark(#eef4f0, #101713); color: light-dark(#14211a, #e4efe8); }
            main { width: min(26rem, calc(100% - 2rem)); padding: 2rem; box-sizing: border-box; border-radius: 1rem;
              background: light-dark(#fff, #18221c); border: 1px solid light-dark(#cddbd2, #33443a); }
            h1 { margin: 0 0 .5rem; font-size: 1.4rem; } p { margin: 0 0 1rem; } ul { list-style: none; margin: 0; padding: 0; }
            a { display: block; padding: .75rem 1rem; margin-top: .6rem; border-radius: .6rem; color: inherit; text-decoration: none;
              border: 1px solid light-dark(#7d9086, #7d9086); } a:hover, a:focus-visible { outline: 3px solid light-dark(#187a4b, #6fd3a2); }
            strong, span { display: block; } span { font-size: .95rem; }
            </style></head><body><main>
            <h1>Simulated provider</h1>
            <p>This stands for GitHub, Google or your company's sign-in. Choose an account; there is no password.</p>
            <ul>
            \(rows)
            </ul>
            <p style="margin-top:1rem"><a href="\(link("-"))">Cancel</a></p>
            </main></body></html>
            """
        return HTTPReply(
            .ok,
            [
                .contentType: "text/html; charset=utf-8", .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
                .contentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
                HTTPField.Name("Referrer-Policy")!: "no-referrer",
            ], body: Array(html.utf8))
    }
}

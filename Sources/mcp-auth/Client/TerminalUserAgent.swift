import Foundation
import HTTPTypes
import MCPAuthClient
import MCPAuthHTTPClient
import OAuth

/// Signs users in from a terminal: opens a browser where there is one, otherwise prints the address. On a terminal, the
/// address that the browser shows at the end can also be pasted, for browsers on another machine.
struct TerminalUserAgent: UserAgent {
    let host: LoopbackUserAgent.Host?
    let port: Int
    let browser: String?
    let isQuiet: Bool

    func begin(preferring preferred: RedirectURI?) async throws(OAuthError) -> any AuthorizationReceiver {
        let (browser, isQuiet) = (browser, isQuiet)
        let agent = LoopbackUserAgent(host: host, port: port) { url throws(OAuthError) in
            try Self.show(url, browser: browser, isQuiet: isQuiet)
        }
        return try await agent.begin(preferring: preferred)
    }

    /// Whether a browser can be expected on this machine.
    private static var hasDesktop: Bool {
        #if os(macOS)
            return true
        #else
            let environment = ProcessInfo.processInfo.environment
            return environment["DISPLAY"] != nil || environment["WAYLAND_DISPLAY"] != nil
        #endif
    }

    private static func show(_ url: WebURL, browser: String?, isQuiet: Bool) throws(OAuthError) {
        try SystemBrowser.check(url)
        var isOpen = false
        if browser != "none", browser != nil || hasDesktop {
            do throws(OAuthError) {
                try (browser.map { SystemBrowser(command: $0) } ?? SystemBrowser()).open(url) { code in
                    Console.note("The browser command ended with \(code). Open this address, or press Ctrl-C:\n  \(url.text)")
                }
                isOpen = true
            } catch { Console.note(error.message) }
        }
        if isOpen {
            if !isQuiet { Console.note("Waiting for the sign-in in your browser. If none has opened, open this address:\n  \(url.text)") }
        } else {
            Console.note("Open this address in a browser to sign in:\n  \(url.text)")
        }
        guard !isOpen, isatty(0) == 1 else { return }
        Console.note("If the browser is on another machine, paste the address that it shows at the end here.")
        receivePasted(url)
    }

    /// Hands pasted answers to the listener, which checks them like those of a browser.
    private static func receivePasted(_ url: WebURL) {
        guard let form = try? Form(parsing: (url.query ?? "").utf8), let callback = try? form.single("redirect_uri"),
            let state = try? form.single("state")
        else { return }
        let thread = Thread {
            while let line = readLine() {
                guard let query = AuthorizationAnswer.query(of: line, state: state), let target = WebURL("\(callback)?\(query)") else {
                    Console.note("This is not the address of this sign-in. Paste all of it.")
                    continue
                }
                Task {
                    let client = GuardedHTTPClient(.development)
                    _ = try? await client.fetch(OutboundRequest(.get, target))
                    await client.shutdown()
                }
                return
            }
        }
        thread.start()
    }
}

import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// Counts attempts to sign in.
struct SignInAttempts: ServerComponent {
    let context: ServerContext
    let limits: RateLimiters
    let cookies: Cookies
    let browsers: KnownBrowsers

    /// Counts an attempt. Every attempt counts until it has succeeded. An address that is throttled does not count
    /// against the account, so it cannot keep blocking users. A browser in which the owner of the account signed in
    /// before has its own count, so attempts elsewhere do not block it.
    func throttled(_ name: String, _ call: HTTPCall) -> Int64? {
        let now = clock.now
        if let seconds = limits.signInByAddress.wait(for: call.limitKey, at: now) { return seconds }
        return attempts(name, call).limiter.wait(for: attempts(name, call).key, at: now)
    }

    private func attempts(_ name: String, _ call: HTTPCall) -> (limiter: RateLimiter, key: String) {
        if let browser = cookies.value(.browser, in: call.request), let mark = cookies.value(.known, in: call.request),
            ConstantTime.areEqual(Array(mark.utf8), Array(browsers.mark(of: name, in: browser).utf8))
        {
            return (limits.signInByBrowser, mark)
        }
        return (limits.signInByAccount, name)
    }

    func forgive(_ name: String, _ call: HTTPCall) {
        limits.signInByAddress.giveBack(call.limitKey)
        let attempts = attempts(name, call)
        attempts.limiter.reset(attempts.key)
    }
}

/// The marks of browsers in which a user signed in before.
struct KnownBrowsers: Sendable {
    private let key: String

    init(_ master: MasterKey) { key = master.derivedText(for: "known browsers") }

    /// The value that proves that a user of this name signed in with this browser.
    func mark(of name: String, in browser: String) -> String { Base64URL.encode(SecretHash(of: "\(key) \(browser) \(name)").bytes) }
}

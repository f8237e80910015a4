import OAuth

/// The name of the browser of a session, for the user: `Firefox, Linux`. It comes from the `User-Agent`, which the
/// client chooses, so nothing depends on it.
enum BrowserName {
    private static let browsers = [
        ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"), ("Chrome/", "Chrome"),
        ("Safari/", "Safari"), ("curl/", "curl"),
    ]
    private static let systems = [
        ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]

    /// Nil for a text that names no known browser.
    static func name(_ userAgent: String?) -> String? {
        guard let userAgent, let browser = browsers.first(where: { userAgent.contains($0.0) })?.1 else { return nil }
        return systems.first { userAgent.contains($0.0) }.map { "\(browser), \($0.1)" } ?? browser
    }
}

import Foundation
public import OAuth

/// Opens an address in a browser, without a shell.
public struct SystemBrowser: Sendable {
    private let command: [String]

    /// The browser of the desktop.
    public init() {
        #if os(macOS)
            command = ["/usr/bin/open"]
        #else
            command = ["xdg-open"]
        #endif
    }

    /// A command, whose last argument will be the address. Its words are separated by spaces. Nothing is expanded.
    public init(command: String) { self.command = command.split(separator: " ").map(String.init) }

    /// Opens an address. It must be https, or http on this machine: an authorization server must not be able to start
    /// other programs, open files, or run scripts (R70).
    ///
    /// Throws `invalid_response` for any other address, and `temporarily_unavailable` when the command cannot be
    /// started. What the browser does afterwards is not known.
    /// - Parameter onFailure: Called when the command ends with another code than 0, with that code.
    public func open(_ url: WebURL, onFailure: (@Sendable (Int32) -> Void)? = nil) throws(OAuthError) {
        try Self.check(url)
        guard let name = command.first else { throw OAuthError(.invalidConfiguration, "the command of the browser is empty") }
        guard let path = Self.find(name) else {
            throw OAuthError(.temporarilyUnavailable, "the browser cannot be started: \(name) was not found")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = command.dropFirst() + [url.text]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        if let onFailure {
            process.terminationHandler = { ended in
                if ended.terminationStatus != 0 { onFailure(ended.terminationStatus) }
            }
        }
        do { try process.run() } catch { throw OAuthError(.temporarilyUnavailable, "the browser cannot be started: \(path)") }
    }

    /// Throws `invalid_response` unless the address may be shown to a user.
    public static func check(_ url: WebURL) throws(OAuthError) {
        guard url.isSecure || url.isLoopback else {
            throw OAuthError(.invalidResponse, "the authorization endpoint is neither https nor on this machine: \(url.text.prefix(200))")
        }
    }

    private static func find(_ name: String) -> String? {
        if name.contains("/") { return FileManager.default.isExecutableFile(atPath: name) ? name : nil }
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        return folders.lazy.map { "\($0)/\(name)" }.first { $0.hasPrefix("/") && FileManager.default.isExecutableFile(atPath: $0) }
    }
}

/// An absolute `http` or `https` URL, parsed on bytes (RFC 3986). It is never changed: `text` is exactly the text that
/// was given.
///
/// A URL that browsers could read differently is rejected:
///
/// - Characters outside printable ASCII, backslashes, and other characters that RFC 3986 does not allow.
/// - User information, invalid percent encodings, and zone identifiers.
/// - Hosts that are neither plain names nor canonical addresses, such as `127.1`, `0x7f.1` and `2130706433`.
/// - Ports outside 1 to 65535, and ports with leading zeros.
public struct WebURL: Sendable, Hashable, CustomStringConvertible {
    /// The URL exactly as it was given.
    public let text: String
    /// `http` or `https`, lower case.
    public let scheme: String
    /// The host as it was given; an IPv6 address without its brackets.
    public let host: String
    /// The explicit port. Nil when the URL names none; see `effectivePort`.
    public let port: Int?
    /// The path as it was given: empty, or beginning with a slash. Percent encodings are not decoded.
    public let path: String
    /// The query without the question mark. Nil when there is none.
    public let query: String?
    /// The fragment without the number sign. Nil when there is none.
    public let fragment: String?
    private let isIPv6: Bool

    /// The longest URL, in bytes.
    public static let maximumBytes = 2048

    /// Nil for a text that is not such a URL, or is longer than `maximumBytes`.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maximumBytes, bytes.allSatisfy(URLBytes.isAllowed), URLBytes.hasValidPercentEncoding(bytes[...]) else { return nil }
        var rest = bytes[...]
        guard let colon = rest.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let scheme = String(decoding: rest[..<colon].map(URLBytes.lowercased), as: UTF8.self)
        guard scheme == "https" || scheme == "http" else { return nil }
        rest = rest[(colon + 1)...]
        guard rest.starts(with: "//".utf8) else { return nil }
        rest = rest.dropFirst(2)
        let authorityEnd = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? rest.endIndex
        var authority = rest[..<authorityEnd]
        rest = rest[authorityEnd...]
        guard !authority.contains(UInt8(ascii: "@")) else { return nil }

        if authority.first == UInt8(ascii: "[") {
            guard let close = authority.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = String(decoding: authority[(authority.startIndex + 1)..<close], as: UTF8.self)
            guard let address = IPAddress(host), address.isV6 else { return nil }
            isIPv6 = true
            authority = authority[(close + 1)...]
        } else {
            let end = authority.firstIndex(of: UInt8(ascii: ":")) ?? authority.endIndex
            let name = authority[..<end]
            guard URLBytes.isHostName(name) else { return nil }
            host = String(decoding: name, as: UTF8.self)
            isIPv6 = false
            authority = authority[end...]
        }
        if authority.isEmpty {
            port = nil
        } else {
            guard authority.first == UInt8(ascii: ":"), let number = URLBytes.port(authority.dropFirst()) else { return nil }
            port = number
        }

        if let hash = rest.firstIndex(of: UInt8(ascii: "#")) {
            fragment = String(decoding: rest[(hash + 1)...], as: UTF8.self)
            rest = rest[..<hash]
        } else {
            fragment = nil
        }
        if let mark = rest.firstIndex(of: UInt8(ascii: "?")) {
            query = String(decoding: rest[(mark + 1)...], as: UTF8.self)
            rest = rest[..<mark]
        } else {
            query = nil
        }
        path = String(decoding: rest, as: UTF8.self)
        self.scheme = scheme
        self.text = text
    }

    /// Whether the scheme is `https`.
    public var isSecure: Bool { scheme == "https" }

    /// Whether the host is `localhost`, or a plain spelling of an address in 127.0.0.0/8 or of `::1`. Names are not
    /// resolved.
    public var isLoopback: Bool {
        if URLBytes.equalIgnoringCase(host, "localhost") { return true }
        return IPAddress(host)?.isLoopback ?? false
    }

    /// The port of a connection: the explicit one, else 443 for https and 80 for http.
    public var effectivePort: Int { port ?? (isSecure ? 443 : 80) }

    /// The host in lower case; an IPv6 address in brackets.
    public var hostForURL: String {
        let lower = String(decoding: host.utf8.map(URLBytes.lowercased), as: UTF8.self)
        return isIPv6 ? "[\(lower)]" : lower
    }

    /// Scheme, host and port as browsers send them in `Origin` (RFC 6454 §6.1), without the default port.
    public var origin: String {
        let isDefault = port == nil || port == (isSecure ? 443 : 80)
        return "\(scheme)://\(hostForURL)" + (isDefault ? "" : ":\(effectivePort)")
    }

    /// The path, or `/` when it is empty.
    public var requestPath: String { path.isEmpty ? "/" : path }

    public var description: String { text }

    /// Compares bytes.
    public static func == (left: WebURL, right: WebURL) -> Bool { left.text == right.text }
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// The character classes of RFC 3986, on bytes.
package enum URLBytes {
    /// The path of a request target, without its query, exactly as it was sent.
    package static func path(of target: String) -> String { String(decoding: target.utf8.prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self) }

    /// Whether a byte is printable ASCII that RFC 3986 allows somewhere in a URI.
    package static func isAllowed(_ byte: UInt8) -> Bool {
        guard byte > 0x20, byte < 0x7F else { return false }
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "{"),
            UInt8(ascii: "|"), UInt8(ascii: "}"):
            return false
        default: return true
        }
    }

    package static func hasValidPercentEncoding(_ bytes: ArraySlice<UInt8>) -> Bool {
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if bytes[index] == UInt8(ascii: "%") {
                guard index + 2 < bytes.endIndex, hexValue(bytes[index + 1]) != nil, hexValue(bytes[index + 2]) != nil else { return false }
                index += 3
            } else {
                index += 1
            }
        }
        return true
    }

    package static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    package static func lowercased(_ byte: UInt8) -> UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte }

    package static func equalIgnoringCase(_ left: String, _ right: String) -> Bool { left.utf8.map(lowercased) == right.utf8.map(lowercased) }

    package static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    package static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lowercased(byte)) }

    /// Whether the bytes are a name of labels, or an IPv4 address of four decimal numbers. Browsers read a name whose
    /// last label looks like a number as an address, so such a name must be a canonical one.
    package static func isHostName(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard !bytes.isEmpty, bytes.count <= 253 else { return false }
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        for label in labels {
            guard !label.isEmpty, label.count <= 63, label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-"),
                label.allSatisfy({ isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") })
            else { return false }
        }
        guard let last = labels.last, let first = last.first else { return false }
        let isNumeric =
            last.allSatisfy(isDigit) || (first == UInt8(ascii: "0") && last.count > 1 && last[last.startIndex + 1] | 0x20 == UInt8(ascii: "x"))
        return !isNumeric || IPAddress(String(decoding: bytes, as: UTF8.self)) != nil
    }

    /// 1 to 65535 without a sign or a leading zero. Nil otherwise.
    package static func port(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard (1...5).contains(bytes.count), bytes.first != UInt8(ascii: "0"), bytes.allSatisfy(isDigit) else { return nil }
        let number = bytes.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        return number <= 65535 ? number : nil
    }
}

/// An absolute `http` or `https` URL, parsed on bytes (RFC 3986) and never changed: `text` is what was given.
///
/// Refused are: anything but printable ASCII, backslashes and the other characters that RFC 3986 has no place for, user information, broken percent
/// encodings, hosts that are not plain names or canonical addresses (so `127.1`, `0x7f.1` and `2130706433` are none), zone identifiers, and ports outside
/// 1 to 65535 or with leading zeros. That leaves no URL that a browser reads differently.
public struct WebURL: Sendable, Hashable, CustomStringConvertible {
    /// The URL exactly as it was written.
    public let text: String
    /// `http` or `https`, lower case.
    public let scheme: String
    /// As it was written; an IPv6 address without its brackets.
    public let host: String
    public let port: Int?
    /// As it was written: empty, or beginning with a slash.
    public let path: String
    /// Without the question mark. Nil: there is none.
    public let query: String?
    /// Without the number sign. Nil: there is none.
    public let fragment: String?
    private let isIPv6: Bool

    public static let maximumBytes = 2048

    /// Nil for anything that is not such a URL.
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

    public var isSecure: Bool { scheme == "https" }

    /// Whether the host is `localhost`, `127.0.0.0/8` or `::1`, written plainly.
    public var isLoopback: Bool {
        if URLBytes.equalIgnoringCase(host, "localhost") { return true }
        return IPAddress(host)?.isLoopback ?? false
    }

    /// The port that a connection goes to.
    public var effectivePort: Int { port ?? (isSecure ? 443 : 80) }

    /// The host as it stands in a URL: lower case, an IPv6 address in brackets.
    public var hostForURL: String {
        let lower = String(decoding: host.utf8.map(URLBytes.lowercased), as: UTF8.self)
        return isIPv6 ? "[\(lower)]" : lower
    }

    /// Scheme, host and port as browsers send them in `Origin` (RFC 6454 §6.1).
    public var origin: String {
        let isDefault = port == nil || port == (isSecure ? 443 : 80)
        return "\(scheme)://\(hostForURL)" + (isDefault ? "" : ":\(effectivePort)")
    }

    /// The path, or a slash where it is empty.
    public var requestPath: String { path.isEmpty ? "/" : path }

    public var description: String { text }

    /// Bytewise.
    public static func == (left: WebURL, right: WebURL) -> Bool { left.text == right.text }
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// The character classes of RFC 3986, on bytes.
package enum URLBytes {
    /// The path of a request target, without its query, exactly as it was sent.
    package static func path(of target: String) -> String { String(decoding: target.utf8.prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self) }

    /// Printable ASCII that may stand somewhere in a URI.
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

    /// A name of labels, or an IPv4 address of four plain decimal numbers. A name whose last label looks like a number is an address to a browser,
    /// so it has to be a canonical one.
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

    /// 1 to 65535 without sign or leading zero.
    package static func port(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard (1...5).contains(bytes.count), bytes.first != UInt8(ascii: "0"), bytes.allSatisfy(isDigit) else { return nil }
        let number = bytes.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        return number <= 65535 ? number : nil
    }
}

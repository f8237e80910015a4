import HTTPTypes
import OAuth

/// What a request brings to prove who it is (RFC 6750 §2.1). Never taken from a query or a body.
enum Credential: Sendable {
    case none
    case bearer(AccessToken)
    case malformed(String)

    /// Exactly one `Authorization` field with the scheme Bearer. Another scheme counts as no credential at all, so that the answer says what would be taken.
    init(_ request: HTTPRequest) {
        // Several fields come back joined by a comma, which no token holds.
        guard var value = request.headerFields[.authorization] else {
            self = .none
            return
        }
        if let start = value.withUTF8(Self.tokenStart) {
            self = .bearer(AccessToken(value, droppingFirst: start))
        } else {
            self = Self.problem(value, count: request.headerFields[values: .authorization].count)
        }
    }

    /// Where the token begins: `Bearer`, in any case, spaces, and a token68 (RFC 9110 §11.2). Nil for anything else.
    private static func tokenStart(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        guard bytes.count > 7, bytes[6] == 0x20, bytes[..<6].elementsEqual("bearer".utf8, by: { URLBytes.lowercased($0) == $1 }) else { return nil }
        var start = 7
        while start < bytes.count, bytes[start] == 0x20 { start += 1 }
        var end = start
        while end < bytes.count, isToken68(bytes[end]) { end += 1 }
        guard end > start else { return nil }
        for byte in bytes[end...] where byte != UInt8(ascii: "=") { return nil }
        return start
    }

    private static func isToken68(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "+"), UInt8(ascii: "/"):
            true
        default: false
        }
    }

    private static func problem(_ value: String, count: Int) -> Credential {
        guard count == 1 else { return .malformed("there is more than one Authorization header") }
        let bytes = value.utf8
        let scheme = bytes.prefix { $0 != 0x20 }
        guard scheme.count == 6, scheme.elementsEqual("bearer".utf8, by: { URLBytes.lowercased($0) == $1 }) else {
            // A second header that a server joined to the first would show as a comma after the first one's end.
            return bytes.contains(UInt8(ascii: ",")) && bytes.contains(0x20) && value.lowercased().contains("bearer ")
                ? .malformed("there is more than one credential in the Authorization header") : .none
        }
        return .malformed("the Authorization header is not of the form: Bearer <token>")
    }
}

import HTTPTypes
import OAuth

/// What a request brings to prove who it is (RFC 6750 §2.1). Never taken from a query or a body.
enum Credential: Sendable {
    case none
    case bearer(AccessToken)
    case malformed(String)

    /// Exactly one `Authorization` field with the scheme Bearer. Another scheme counts as no credential at all, so that the answer says what would be taken.
    init(_ request: HTTPRequest) {
        guard let value = request.headerFields[.authorization] else {
            self = .none
            return
        }
        guard request.headerFields[values: .authorization].count == 1 else {
            self = .malformed("there is more than one Authorization header")
            return
        }
        let bytes = value.utf8
        let scheme = bytes.prefix { $0 != 0x20 }
        guard scheme.count == 6, scheme.elementsEqual("bearer".utf8, by: { URLBytes.lowercased($0) == $1 }) else {
            // A second header that a server joined to the first would show as a comma after the first one's end.
            self =
                bytes.contains(UInt8(ascii: ",")) && bytes.contains(0x20) && value.lowercased().contains("bearer ")
                ? .malformed("there is more than one credential in the Authorization header") : .none
            return
        }
        let token = bytes.dropFirst(6).drop { $0 == 0x20 }
        guard !token.isEmpty, Self.isToken68(token) else {
            self = .malformed("the Authorization header is not of the form: Bearer <token>")
            return
        }
        self = .bearer(AccessToken(bytes: Array(token)))
    }

    private static func isToken68(_ bytes: Substring.UTF8View) -> Bool {
        var padding = false
        for byte in bytes {
            if byte == UInt8(ascii: "=") {
                padding = true
            } else if padding {
                return false
            } else if !(URLBytes.isLetter(byte) || URLBytes.isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "~") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "/"))
            {
                return false
            }
        }
        return true
    }
}

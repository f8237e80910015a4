package import HTTPTypes
import OAuth

/// The credential of a request (RFC 6750 §2.1, RFC 9449 §7.1). Never taken from a query or a body.
package enum Credential: Sendable {
    case none
    case bearer(AccessToken)
    /// A token that is bound to a key, and the proof that the sender has the key (RFC 9449 §7.1).
    case proven(AccessToken, proof: String)
    /// A token with the scheme DPoP without exactly one proof. The response is a challenge for a proof (RFC 9449 §7.1).
    case unproven(String)
    case malformed(String)

    /// Exactly one `Authorization` field with the scheme Bearer or DPoP. A field with another scheme counts as no
    /// credential, so that the response names the accepted schemes.
    package init(_ request: HTTPRequest) {
        // The subscript of the fields would copy the value, since there could be several to join.
        var (value, count) = ("", 0)
        for field in request.headerFields where field.name == .authorization {
            count += 1
            if count == 1 { value = field.value }
        }
        guard count > 0 else {
            self = .none
            return
        }
        guard count == 1 else {
            self = .malformed("there is more than one Authorization header")
            return
        }
        if let start = value.withUTF8({ Self.tokenStart($0, after: Self.bearer) }) {
            self = .bearer(AccessToken(value, droppingFirst: start))
        } else if let start = value.withUTF8({ Self.tokenStart($0, after: Self.dpop) }) {
            let proofs = request.headerFields[values: .dpop]
            self =
                proofs.count == 1
                ? .proven(AccessToken(value, droppingFirst: start), proof: proofs[0])
                : .unproven(proofs.isEmpty ? "the DPoP header with the proof is missing" : "there is more than one DPoP header")
        } else {
            self = Self.problem(value)
        }
    }

    private static let bearer: StaticString = "bearer "
    private static let dpop: StaticString = "dpop "

    /// The start of the token: after the scheme, in any case, and spaces. The rest must be a token68 (RFC 9110 §11.2).
    /// Nil for anything else.
    private static func tokenStart(_ bytes: UnsafeBufferPointer<UInt8>, after scheme: StaticString) -> Int? {
        var start = scheme.utf8CodeUnitCount
        guard bytes.count > start else { return nil }
        for index in 0..<start where URLBytes.lowercased(bytes[index]) != scheme.utf8Start[index] { return nil }
        while start < bytes.count, bytes[start] == 0x20 { start += 1 }
        let end = token68End(bytes, from: start)
        guard end > start else { return nil }
        for byte in bytes[end...] where byte != UInt8(ascii: "=") { return nil }
        return start
    }

    /// The end of the characters of a token68, before its padding. Tokens are long, so this compares eight characters
    /// at a time.
    private static func token68End(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        let (ones, highs) = (0x0101_0101_0101_0101 as UInt64, 0x8080_8080_8080_8080 as UInt64)
        var end = start
        while end + 8 <= bytes.count {
            let word = UnsafeRawPointer(bytes.baseAddress! + end).loadUnaligned(as: UInt64.self)
            /// The high bit of each byte of ASCII that is not less than the one and not more than the other. No sum
            /// reaches into the next byte.
            func between(_ word: UInt64, _ least: UInt64, _ most: UInt64) -> UInt64 {
                (word &+ ones &* (0x80 - least)) & ~(word &+ ones &* (0x7F - most))
            }
            // Letters of either case; from the dash to the nine, which is - . / 0 to 9; and + _ ~
            let found =
                between(word | ones &* 0x20, 0x61, 0x7A) | between(word, 0x2D, 0x39) | between(word, 0x2B, 0x2B) | between(word, 0x5F, 0x5F)
                | between(word, 0x7E, 0x7E)
            guard word & highs == 0, found & highs == highs else { break }
            end += 8
        }
        token68.withUnsafeBufferPointer { table in while end < bytes.count, table[Int(bytes[end])] { end += 1 } }
        return end
    }

    private static let token68: [Bool] = {
        var table = [Bool](repeating: false, count: 256)
        for byte in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/".utf8 { table[Int(byte)] = true }
        return table
    }()

    private static func problem(_ value: String) -> Credential {
        let bytes = value.utf8
        let scheme = bytes.prefix { $0 != 0x20 }
        guard scheme.count == 6, scheme.elementsEqual("bearer".utf8, by: { URLBytes.lowercased($0) == $1 }) else {
            // A second header that a server joined to the first one follows a comma.
            return bytes.contains(UInt8(ascii: ",")) && bytes.contains(0x20) && value.lowercased().contains("bearer ")
                ? .malformed("there is more than one credential in the Authorization header") : .none
        }
        return .malformed("the Authorization header is not of the form: Bearer <token>")
    }
}

extension HTTPField.Name {
    package static let dpop = HTTPField.Name("DPoP")!
    package static let dpopNonce = HTTPField.Name("DPoP-Nonce")!
}

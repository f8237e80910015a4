import Crypto
public import JOSE
public import OAuth

/// Decides whether an access token is good, and whose it is.
///
/// A verifier that can decide from memory does so in `verify`, which never waits. One that has to ask somebody answers
/// `.undecided` there and does its asking in `resolve`. Whoever implements this owes: `accepted` only for a token that
/// this server may take, whose audience was checked; `rejected` for every other token; `unavailable`, never `accepted`,
/// when the answer could not be had.
public protocol TokenVerifier: Sendable {
    /// The verdict, as far as it can be given at once.
    func verify(_ token: AccessToken, at now: NumericDate) -> Verification
    /// The verdict after asking whoever knows. Called only after `.undecided`.
    func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification
    /// Whether what was accepted earlier, and has not expired, still stands: asked on every cache hit, so it must be
    /// quick.
    func stillAccepts(_ principal: Principal) -> Bool
    /// Told of every operation that a principal of this verifier was let in for, so it must be quicker still.
    func noteUse(of principal: Principal, for operation: Operation, at now: NumericDate)
    /// The scopes that the client of a principal could be granted if it asked for more. Nil when this verifier does not
    /// know, or the principal is not one of its own. Asked for lists, not for calls.
    func grantableScopes(to principal: Principal) async -> ScopeSet?
    /// A number that changes whenever earlier verdicts may not stand any more, for example because a key is gone.
    var epoch: UInt64 { get }
    /// How long a verdict may be kept, in seconds. 0: not at all.
    var cacheLifetime: Int64 { get }
}

extension TokenVerifier {
    public func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification { verify(token, at: now) }
    public func stillAccepts(_ principal: Principal) -> Bool { true }
    public func noteUse(of principal: Principal, for operation: Operation, at now: NumericDate) {}
    public func grantableScopes(to principal: Principal) async -> ScopeSet? { nil }
    public var epoch: UInt64 { 0 }
    public var cacheLifetime: Int64 { 300 }
}

/// What a verifier says of a token.
public enum Verification: Sendable {
    case accepted(Principal)
    case rejected(RejectionReason)
    /// The answer needs I/O: ask `resolve`.
    case undecided
    /// The answer could not be had now. A retryable 503.
    case unavailable(String)
}

/// Why a token is not accepted: for logs and the audit trail. The client only learns `invalid_token`.
public struct RejectionReason: Sendable, Hashable, CustomStringConvertible {
    /// Stable and of few values, so that it can label a metric.
    public let code: String
    /// For people. Holds nothing of the token.
    public let detail: String
    /// The configured issuer that the token names. Nil where it names another one, so that nothing is logged for it.
    package var issuer: String?
    /// What was found, what was expected and how to fix it, for the operator's log only: it holds escaped, unverified
    /// values of the token.
    package var explanation = LazyText { "" }

    public init(_ code: String, _ detail: String = "") {
        self.code = code
        self.detail = detail
    }

    package init(_ code: String, _ detail: String = "", issuer: String?, _ explanation: @escaping @Sendable () -> String) {
        self.init(code, detail)
        self.issuer = issuer
        self.explanation = LazyText(explanation)
    }

    /// A text that is built only when it is logged.
    package struct LazyText: Sendable, Hashable {
        private let make: @Sendable () -> String

        package init(_ make: @escaping @Sendable () -> String) { self.make = make }

        package var text: String { make() }

        package static func == (left: LazyText, right: LazyText) -> Bool { true }
        package func hash(into hasher: inout Hasher) {}
    }

    public var description: String { detail.isEmpty ? code : "\(code): \(detail)" }
}

/// The text of a bearer token (RFC 6750 §2.1). It does not print itself.
public struct AccessToken: Sendable, CustomStringConvertible, CustomReflectable {
    /// A text that ends with the token, so that a header's value is not copied for a token that is known already.
    private let storage: String
    /// How many bytes of it stand before the token.
    private let offset: Int

    public init(_ text: String) { self.init(text, droppingFirst: 0) }

    /// What is left of a header's value after its first bytes.
    package init(_ value: String, droppingFirst count: Int) {
        storage = value
        offset = count
    }

    public var bytes: [UInt8] {
        var value = storage
        return value.withUTF8 { Array(UnsafeBufferPointer(rebasing: $0[offset...])) }
    }
    public var text: String { offset == 0 ? storage : String(decoding: storage.utf8.dropFirst(offset), as: UTF8.self) }

    /// Whether it could be a JWT: it has dots.
    package var looksLikeJWT: Bool { storage.utf8.dropFirst(offset).count { $0 == UInt8(ascii: ".") } == 2 }

    package var digest: TokenDigest {
        var value = storage
        return value.withUTF8 { TokenDigest(SHA256.hash(data: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[offset...]))) }
    }

    public var description: String { "AccessToken(\(storage.utf8.count - offset) bytes)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// SHA-256 of a token: what may be kept of it.
package struct TokenDigest: Hashable, Sendable {
    private let words: (UInt64, UInt64, UInt64, UInt64)

    init(_ digest: SHA256Digest) {
        words = digest.withUnsafeBytes { $0.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self) }
    }

    package static func == (left: TokenDigest, right: TokenDigest) -> Bool { left.words == right.words }
    // The digest is uniform already, but its maker is not trusted: Hasher's seed keeps buckets unpredictable.
    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
    var shard: Int { Int(truncatingIfNeeded: words.1 & 15) }
}

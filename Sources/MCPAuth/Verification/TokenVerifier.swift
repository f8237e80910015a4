import Crypto
public import JOSE
public import OAuth

/// Validates access tokens and returns their principals.
///
/// A verifier that can decide from memory does so in `verify`, which never waits. A verifier that needs I/O returns
/// `.undecided` there and decides in `resolve`.
///
/// Duties of an implementation: return `accepted` only for a token that is meant for this server, after checking its
/// audience. Return `unavailable`, never `accepted`, when the decision cannot be made. Return `rejected` for every
/// other token.
public protocol TokenVerifier: Sendable {
    /// The decision from memory, at once.
    func verify(_ token: AccessToken, at now: NumericDate) -> Verification
    /// The decision after I/O. Called only after `.undecided`.
    func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification
    /// Whether a principal that was accepted before, and has not expired, is still accepted. Called on every cache hit,
    /// so it must be quick.
    func stillAccepts(_ principal: Principal) -> Bool
    /// Called for every operation that a principal of this verifier was authorized for. It must be quicker still.
    func noteUse(of principal: Principal, for operation: Operation, at now: NumericDate)
    /// The scopes that the client of a principal could be granted on request. Nil when this verifier does not know
    /// them, or the principal is not its own. Called for lists, not for calls.
    func grantableScopes(to principal: Principal) async -> ScopeSet?
    /// A number that changes whenever earlier decisions may no longer apply, for example because a key was removed.
    var epoch: UInt64 { get }
    /// The number of seconds for which a decision may be cached. 0: not at all.
    var cacheLifetime: Int64 { get }
}

extension TokenVerifier {
    /// The same as `verify`, for verifiers that never return `.undecided`.
    public func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification { verify(token, at: now) }
    /// True: accepted tokens cannot be revoked.
    public func stillAccepts(_ principal: Principal) -> Bool { true }
    /// Does nothing.
    public func noteUse(of principal: Principal, for operation: Operation, at now: NumericDate) {}
    /// Nil: unknown.
    public func grantableScopes(to principal: Principal) async -> ScopeSet? { nil }
    /// 0: earlier decisions always apply.
    public var epoch: UInt64 { 0 }
    /// 300 seconds.
    public var cacheLifetime: Int64 { 300 }
}

/// The decision of a verifier about a token.
public enum Verification: Sendable {
    /// The token is valid for this server and has not expired.
    case accepted(Principal)
    /// The token is not valid for this server: 401 `invalid_token`.
    case rejected(RejectionReason)
    /// The decision needs I/O: call `resolve`.
    case undecided
    /// The decision cannot be made now, for the given reason: a retryable 503.
    case unavailable(String)
}

/// The reason why a token is rejected, for logs and the audit log. The client only receives `invalid_token`.
public struct RejectionReason: Sendable, Hashable, CustomStringConvertible {
    /// A stable code with few values, so that it can label a metric.
    public let code: String
    /// An explanation for people. It contains nothing of the token.
    public let detail: String
    /// The configured issuer that the token names. Nil if it names another one, so that nothing is logged for it.
    package var issuer: String?
    /// The value that was found, the expected one and the fix, for the operator's log only. It contains escaped,
    /// unverified values of the token.
    package var explanation = LazyText { "" }
    /// Whose token it was, for the audit log, when a valid token was revoked. Nil: unknown.
    package var holder: Holder?

    /// The issuer, user and client of a token.
    package struct Holder: Sendable, Hashable {
        package let issuer: String
        package let subject: String
        package let clientID: String?

        package init(_ principal: Principal) {
            issuer = principal.issuer
            subject = principal.subject
            clientID = principal.clientID
        }
    }

    /// The token of a principal was revoked before it expired.
    package static func revoked(_ principal: Principal) -> RejectionReason {
        var reason = RejectionReason("revoked", "the token was valid and is revoked")
        reason.holder = Holder(principal)
        return reason
    }

    /// A reason for a verifier of your own. `code` must come from code, never from a token. `detail` must contain
    /// nothing of the token.
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

/// The text of a bearer token (RFC 6750 §2.1). Its description does not contain the token.
public struct AccessToken: Sendable, CustomStringConvertible, CustomReflectable {
    /// A text that ends with the token, so that the value of a header is not copied for a cached token.
    private let storage: String
    /// The number of bytes before the token.
    private let offset: Int

    /// The token with this text. Nothing is checked.
    public init(_ text: String) { self.init(text, droppingFirst: 0) }

    /// The rest of a header's value after its first bytes.
    package init(_ value: String, droppingFirst count: Int) {
        storage = value
        offset = count
    }

    /// The UTF-8 of the token. Do not log it.
    public var bytes: [UInt8] {
        var value = storage
        return value.withUTF8 { Array(UnsafeBufferPointer(rebasing: $0[offset...])) }
    }
    /// The token as text. Do not log it.
    public var text: String { offset == 0 ? storage : String(decoding: storage.utf8.dropFirst(offset), as: UTF8.self) }

    /// Whether the text has two dots, as a JWT in compact form has.
    package var looksLikeJWT: Bool { storage.utf8.dropFirst(offset).count { $0 == UInt8(ascii: ".") } == 2 }

    package var digest: TokenDigest {
        var value = storage
        return value.withUTF8 { TokenDigest(SHA256.hash(data: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[offset...]))) }
    }

    public var description: String { "AccessToken(\(storage.utf8.count - offset) bytes)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The SHA-256 of a token, which may be stored.
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

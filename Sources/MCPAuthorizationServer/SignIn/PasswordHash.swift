import CryptoExtras
import Dispatch
public import JOSE
public import OAuth
import Crypto

/// A password hashed with scrypt (RFC 7914). Its text contains the parameters and the salt:
/// `$scrypt$n=15,r=8,p=1$salt$key`.
public struct PasswordHash: Sendable, Hashable {
    /// The hash as text, for a store. Do not log it.
    public let text: String
    fileprivate let cost: Int
    private let salt: [UInt8]
    private let key: [UInt8]

    /// The longest password in bytes. A longer one is rejected before it is hashed.
    public static let maximumPasswordBytes = 1024
    /// The shortest password in Unicode scalars.
    public static let minimumPasswordCharacters = 8

    /// A hash from a store. Nil for any other form, and for parameters that would need more than 256 MiB.
    public init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "$"), omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "scrypt", let salt = try? Base64URL.decode(parts[3]),
            let key = try? Base64URL.decode(parts[4]),
            key.count == 32, salt.count == 16
        else { return nil }
        guard let cost = (10...18).first(where: { parts[2] == "n=\($0),r=8,p=1" }) else { return nil }
        self.text = text
        self.cost = cost
        self.salt = salt
        self.key = key
    }

    private init(cost: Int, salt: [UInt8], key: [UInt8]) {
        self.cost = cost
        self.salt = salt
        self.key = key
        text = "$scrypt$n=\(cost),r=8,p=1$\(Base64URL.encode(salt))$\(Base64URL.encode(key))"
    }

    /// Blocks for as long as scrypt takes. Call it through `PasswordHasher`.
    static func make(_ password: String, cost: Int, salt: [UInt8]) -> PasswordHash? {
        derive(password, cost, salt).map { PasswordHash(cost: cost, salt: salt, key: $0) }
    }

    func matches(_ password: String) -> Bool { Self.derive(password, cost, salt).map { ConstantTime.areEqual($0, key) } ?? false }

    private static func derive(_ password: String, _ cost: Int, _ salt: [UInt8]) -> [UInt8]? {
        guard password.utf8.count <= maximumPasswordBytes else { return nil }
        let key = try? KDF.Scrypt.deriveKey(
            from: Array(password.utf8), salt: salt, outputByteCount: 32, rounds: 1 << cost, blockSize: 8, parallelism: 1, maxMemory: 512 << 20)
        return key.map { $0.withUnsafeBytes { Array($0) } }
    }
}

extension PasswordHash: CustomStringConvertible, CustomReflectable {
    public var description: String { "PasswordHash" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Runs scrypt on its own threads, a few at a time, so that sign-ins neither block the server nor exhaust its memory.
public actor PasswordHasher {
    private let cost: Int
    private let width: Int
    private var running = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private let queue = DispatchQueue(label: "mcp-auth.scrypt", attributes: .concurrent)
    private let random: RandomSource
    private var decoy: PasswordHash?

    /// The number of waiting callers. Further ones receive `temporarily_unavailable`.
    static let maximumWaiting = 64

    /// A hasher.
    ///
    /// - Parameters:
    ///   - cost: The logarithm of scrypt's N, limited to 10 to 18. 15 needs 32 MiB and some 50 ms.
    ///   - width: The number of computations that run at the same time.
    ///   - random: The source of salts.
    public init(cost: Int = 15, width: Int = 2, random: RandomSource = .system) {
        self.cost = min(max(cost, 10), 18)
        self.width = width
        self.random = random
    }

    /// Hashes a new password. Throws `invalid_request` for one that `PasswordRules` rejects, and
    /// `temporarily_unavailable` when too many callers wait.
    ///
    /// - Parameter name: The user's name, which must not be the password.
    public func hash(_ password: String, name: String? = nil) async throws(OAuthError) -> PasswordHash {
        try PasswordRules.check(password, name: name)
        return try await rehash(password)
    }

    /// Hashes a password that was accepted before, even if the rules would reject it today.
    func rehash(_ password: String) async throws(OAuthError) -> PasswordHash {
        let salt = random.bytes(16)
        let cost = cost
        guard let hash = try await run({ PasswordHash.make(password, cost: cost, salt: salt) }) else {
            throw OAuthError(.serverError, "the password could not be hashed")
        }
        return hash
    }

    /// Whether a hash has another cost than new hashes.
    public nonisolated func isOutdated(_ hash: PasswordHash) -> Bool { hash.cost != cost }

    /// Whether the password belongs to the hash. Without a hash it takes the same time and returns false, so that the
    /// time does not reveal which users exist. Throws `temporarily_unavailable` when too many callers wait.
    public func verify(_ password: String, _ hash: PasswordHash?) async throws(OAuthError) -> Bool {
        if decoy == nil {
            let cost = cost
            let salt = random.bytes(16)
            decoy = try await run { PasswordHash.make("decoy", cost: cost, salt: salt) }
        }
        guard let candidate = hash ?? decoy else { return false }
        let matches = try await run { candidate.matches(password) }
        return matches && hash != nil
    }

    private func run<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async throws(OAuthError) -> Result {
        if running >= width {
            guard waiting.count < Self.maximumWaiting else { throw OAuthError(.temporarilyUnavailable, "too many people are signing in; try again") }
            await withCheckedContinuation { waiting.append($0) }
        } else {
            running += 1
        }
        let result = await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: work()) } }
        if waiting.isEmpty { running -= 1 } else { waiting.removeFirst().resume() }
        return result
    }
}

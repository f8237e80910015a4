public import OAuth

/// Keeps the registrations and tokens of a client.
///
/// Several processes may share a store. `withLock` makes one of them renew a token while the others wait. A value must
/// be replaced as a whole or not at all, and an old value must stay until the new one is kept. The module
/// `MCPAuthTesting` has a conformance suite.
public protocol TokenStore: Sendable {
    /// The value of a key. Nil when there is none. Throws `temporarily_unavailable` when the store cannot be read, and
    /// `invalid_configuration` when other users could have read or changed it.
    func read(_ key: String) async throws(OAuthError) -> [UInt8]?
    /// Sets the value of a key. Throws `temporarily_unavailable` when it could not be kept; the old value is still
    /// there then.
    func write(_ value: [UInt8], for key: String) async throws(OAuthError)
    /// Removes a key. It is no error when there is none.
    func remove(_ key: String) async throws(OAuthError)
    /// Every key, in no particular order.
    func keys() async throws(OAuthError) -> [String]
    /// Runs `body` while no other caller or process is inside for the same key. A process that ends releases its locks.
    ///
    /// Throws `temporarily_unavailable` when the lock is not free within `timeout`.
    func withLock<Result: Sendable>(
        _ key: String, timeout: Duration, _ body: @Sendable () async throws(OAuthError) -> Result
    ) async throws(OAuthError) -> Result
}

/// A store in memory, for one process.
public final class MemoryTokenStore: TokenStore {
    private let state = State()

    /// An empty store.
    public init() {}

    /// The value of a key, or nil. Throws like every `TokenStore`.
    public func read(_ key: String) async throws(OAuthError) -> [UInt8]? { await state.value(key) }
    /// Sets the value of a key.
    public func write(_ value: [UInt8], for key: String) async throws(OAuthError) { await state.set(value, key) }
    /// Removes a key, if it is there.
    public func remove(_ key: String) async throws(OAuthError) { await state.set(nil, key) }
    /// Every key.
    public func keys() async throws(OAuthError) -> [String] { await state.keys }

    /// Runs `body` alone for this key.
    public func withLock<Result: Sendable>(
        _ key: String, timeout: Duration, _ body: @Sendable () async throws(OAuthError) -> Result
    ) async throws(OAuthError) -> Result {
        let end = ContinuousClock.now + timeout
        while await !state.lock(key) { try await TokenStoreWaiting.pause(until: end, key) }
        do throws(OAuthError) {
            let result = try await body()
            await state.unlock(key)
            return result
        } catch {
            await state.unlock(key)
            throw error
        }
    }

    /// Keys are kept as bytes: strings that look alike are equal in Swift.
    private actor State {
        private var values: [[UInt8]: [UInt8]] = [:]
        private var locks: Set<[UInt8]> = []

        var keys: [String] { values.keys.map { String(decoding: $0, as: UTF8.self) } }
        func value(_ key: String) -> [UInt8]? { values[Array(key.utf8)] }
        func set(_ value: [UInt8]?, _ key: String) { values[Array(key.utf8)] = value }
        func lock(_ key: String) -> Bool { locks.insert(Array(key.utf8)).inserted }
        func unlock(_ key: String) { locks.remove(Array(key.utf8)) }
    }
}

/// Waiting for a lock.
enum TokenStoreWaiting {
    static func pause(until end: ContinuousClock.Instant, _ key: String) async throws(OAuthError) {
        guard ContinuousClock.now < end else {
            throw OAuthError(.temporarilyUnavailable, "another process is busy with the same sign-in; try again when it has finished")
        }
        do { try await Task.sleep(for: .milliseconds(25)) } catch {
            throw OAuthError(.temporarilyUnavailable, "cancelled while waiting for another process")
        }
    }
}

import JOSE
public import MCPAuthorizationServer
import OAuth

/// The requirements for every store of an authorization server, as checks that any test framework can run.
///
/// ```swift
/// @Test(arguments: StoreConformance.checks) func conformance(_ check: StoreConformance.Check) async throws {
///     try await check.run(on: MyStore())
/// }
/// ```
///
/// Every check needs an empty store. A check that fails throws `Failure`, which says what was expected.
public enum StoreConformance {
    /// A requirement that a store does not meet.
    public struct Failure: Error, CustomStringConvertible {
        /// The expectation in words.
        public let description: String
    }

    /// One check. It is independent of the others.
    public struct Check: Sendable, CustomStringConvertible {
        /// The requirement in words, with its number if it has one.
        public let description: String
        let body: @Sendable (any AuthorizationServerStore) async throws -> Void

        /// Runs the check on an empty store. Throws `Failure`, or the error that the store threw.
        public func run(on store: some AuthorizationServerStore) async throws { try await body(store) }
    }

    static func expect(_ condition: Bool, _ expectation: String) throws { if !condition { throw Failure(description: "expected: \(expectation)") } }

    static func expect(_ one: Bool, _ other: Bool, _ expectation: String) throws { try expect(one && other, expectation) }

    // MARK: Fixtures

    static let now = NumericDate(seconds: 1_800_000_000)

    static func client(_ id: String = "client-1", origin: Client.Origin = .dynamic) throws -> Client {
        Client(
            id: try id1(id), name: "A client", redirectURIs: [try RedirectURI("https://c.example/cb"), try RedirectURI("http://127.0.0.1/cb")],
            origin: origin, createdAt: now)
    }

    static func id1(_ text: String) throws -> ClientID {
        guard let id = ClientID(text) else { throw Failure(description: "not a client ID") }
        return id
    }

    static func code(_ text: String = "code", client: String = "client-1") throws -> AuthorizationCode {
        guard let verifier = CodeVerifier(String(repeating: "v", count: 43)) else { throw Failure(description: "not a verifier") }
        return AuthorizationCode(
            hash: SecretHash(of: text), clientID: try id1(client), userID: "user-1", redirectURI: "https://c.example/cb",
            challenge: CodeChallenge(of: verifier),
            scopes: ["read", "write"], resource: "https://rs.example/mcp", expiresAt: now.advanced(by: 60))
    }

    static func grant(_ id: String = "grant-1", client: String = "client-1") throws -> Grant {
        Grant(
            id: id, clientID: try id1(client), userID: "user-1", scopes: ["read", "write"], resource: "https://rs.example/mcp", createdAt: now,
            expiresAt: now.advanced(by: 1000), lastUsedAt: now)
    }

    static func token(_ text: String, grant: String = "grant-1", for seconds: Int64 = 500) -> RefreshToken {
        RefreshToken(hash: SecretHash(of: text), grantID: grant, expiresAt: now.advanced(by: seconds))
    }

    static func reference(_ text: String, grant: String = "grant-1") -> RefreshTokenReference {
        RefreshTokenReference(hash: SecretHash(of: text), grantID: grant)
    }

    /// Creates one grant with the refresh token "r1".
    static func granted(_ store: any AuthorizationServerStore) async throws {
        try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
        _ = try await store.issue(try code(), consuming: SecretHash(of: "t1"), until: now.advanced(by: 900))
        let outcome = try await store.redeem(SecretHash(of: "code"), for: try grant(), refreshToken: token("r1"), clientIn: .elsewhere, at: now)
        try expect(outcome == .redeemed, "a fresh code is redeemed")
    }

    static func rotate(
        _ store: any AuthorizationServerStore, _ from: String, _ to: String, at time: NumericDate = now, grace: Int64 = 30, recovery: Int64 = 0
    ) async throws -> Rotation {
        try await store.rotate(reference(from), to: successor(to), rules: RefreshRules(grace: grace, recovery: recovery), at: time) { _ in nil }
    }

    static func successor(_ text: String) -> Successor {
        Successor(hash: SecretHash(of: text), expiresAt: now.advanced(by: 500))
    }

    // MARK: The checks

    /// Every check, to be run each on an empty store of its own.
    public static let checks: [Check] = clientsAndUsers + codesAndGrants + refreshTokens + keysDevicesUpkeep + connections
}

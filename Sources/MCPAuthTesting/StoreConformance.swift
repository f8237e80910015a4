import JOSE
public import MCPAuthorizationServer
import OAuth

/// What every store of an authorization server has to do, as checks that any test framework can run.
///
/// ```swift
/// @Test(arguments: StoreConformance.checks) func conformance(_ check: StoreConformance.Check) async throws {
///     try await check.run(on: MyStore())
/// }
/// ```
/// Every check wants an empty store. A check that fails throws `Failure`, which says what was expected.
public enum StoreConformance {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    public struct Check: Sendable, CustomStringConvertible {
        public let description: String
        let body: @Sendable (any AuthorizationServerStore) async throws -> Void

        public func run(on store: some AuthorizationServerStore) async throws { try await body(store) }
    }

    static func expect(_ condition: Bool, _ expectation: String) throws { if !condition { throw Failure(description: "expected: \(expectation)") } }

    static func expect(_ one: Bool, _ other: Bool, _ expectation: String) throws { try expect(one && other, expectation) }

    // MARK: What the checks are made of

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

    /// A store that holds one grant with the refresh token "r1".
    static func granted(_ store: any AuthorizationServerStore) async throws {
        try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
        _ = try await store.issue(try code(), consuming: SecretHash(of: "t1"), until: now.advanced(by: 900))
        let outcome = try await store.redeem(SecretHash(of: "code"), for: try grant(), refreshToken: token("r1"), clientIn: .elsewhere, at: now)
        try expect(outcome == .redeemed, "a fresh code is redeemed")
    }

    static func rotate(_ store: any AuthorizationServerStore, _ from: String, _ to: String, at time: NumericDate = now, grace: Int64 = 30)
        async throws -> Rotation
    {
        try await store.rotate(SecretHash(of: from), to: successor(to), grace: grace, at: time) { _ in nil }
    }

    static func successor(_ text: String) -> Successor {
        Successor(hash: SecretHash(of: text), sealed: Array("sealed \(text)".utf8), expiresAt: now.advanced(by: 500))
    }

    // MARK: The checks

    public static let checks: [Check] = [
        Check(description: "a client is found again as it was saved") { store in
            var client = try client()
            client.secrets = [ClientSecret(SecretHash(of: "secret")), ClientSecret(SecretHash(of: "old"), expiresAt: now)]
            client.keys = .inline(#"{"keys":[]}"#)
            client.assertionAlgorithm = .es256
            client.scopes = ["read"]
            client.requiresPushedRequests = true
            client.requiresDPoP = true
            client.webPage = WebURL("https://c.example/")
            client.isDisabled = true
            client.registrationToken = SecretHash(of: "registration")
            client.introspects = "https://rs.example/mcp"
            client.authenticationMethod = .basic
            try await store.save(client, limit: 10)
            try expect(try await store.client(client.id) == client, "the same client")
            try expect(try await store.client(id1("CLIENT-1")) == nil, "IDs compare by bytes")
            var renamed = client
            renamed.name = "Renamed"
            try expect(try await store.replace(renamed, expecting: client), await store.client(client.id) == renamed, "changed")
            try expect(try await !store.replace(client, expecting: client), "what was read before somebody else's change changes nothing")
            try await store.deleteClient(client.id, at: now)
            try expect(try await !store.replace(client, expecting: renamed), await store.client(client.id) == nil, "nobody comes back")
        },
        Check(description: "D-01: the number of clients of one origin is bounded; known ones can still be saved") { store in
            for index in 0..<3 { try await store.save(try client("c\(index)"), limit: 3) }
            try await store.save(try client("c1"), limit: 3)
            try await store.save(try client("configured", origin: .configured), limit: 3)
            do {
                try await store.save(try client("c3"), limit: 3)
                throw Failure(description: "expected: the fourth client is refused")
            } catch let error as StoreError { try expect(error.kind == .full, "the error says full") }
        },
        Check(description: "D-01: dynamic clients that are of no use make room, after ten minutes when it is needed and after a day in any case") {
            store in
            func late(_ id: String, by seconds: Int64) throws -> Client {
                Client(
                    id: try id1(id), name: nil, redirectURIs: [try RedirectURI("https://c.example/cb")], origin: .dynamic,
                    createdAt: now.advanced(by: seconds))
            }
            for name in ["client-1", "unused", "configured"] {
                try await store.save(try client(name, origin: name == "configured" ? .configured : .dynamic), limit: 2)
            }
            try await granted(store)
            do {
                try await store.save(try late("early", by: 599), limit: 2)
                throw Failure(description: "expected: a client of a moment ago does not give way")
            } catch let error as StoreError { try expect(error.kind == .full, "the error says full") }
            try await store.save(try late("next", by: 600), limit: 2)
            try expect(try await store.client(id1("unused")) == nil, "what was never used gave way")
            try expect(
                try await store.client(id1("client-1")) != nil, await store.client(id1("next")) != nil, "what is used stays, what is new is there")
            _ = try await store.sweep(at: now.advanced(by: 600 + 86399), limit: 100)
            try expect(try await store.client(id1("next")) != nil, "a client of less than a day stays")
            _ = try await store.sweep(at: now.advanced(by: 600 + 86400), limit: 100)
            try expect(
                try await store.client(id1("next")) == nil, await store.client(id1("configured")) != nil, "unused dynamic clients go, others stay")
        },
        Check(description: "deleting a client ends its grants") { store in
            try await store.save(try client(), limit: 10)
            try await granted(store)
            try await store.revokeGrants(ofClient: try id1("client-2"), at: now)
            try expect(try await store.grant("grant-1")?.revokedAt == nil, "nobody else's")
            try await store.deleteClient(try id1("client-1"), at: now.advanced(by: 5))
            try expect(try await store.client(id1("client-1")) == nil, "the client is gone")
            try expect(
                try await Set(store.revocations(since: now.advanced(by: 1)))
                    == [.grant("grant-1"), .client(id1("client-1"), upTo: now.advanced(by: 5))],
                "everybody can know that its tokens are worth nothing")
            try await store.revokeGrants(ofClient: try id1("client-1"), at: now.advanced(by: 9))
            try expect(
                try await store.revocations(since: now.advanced(by: 6)) == [.client(id1("client-1"), upTo: now.advanced(by: 9))], "the later moment")
            let consent = RememberedConsent(
                userID: "user-1", clientID: try id1("client-1"), resource: "https://rs.example/mcp", redirectURI: "https://c.example/cb", scopes: [])
            try await store.remember(consent)
            try await store.deleteClient(try id1("client-1"), at: now)
            try expect(try await !store.isRemembered(consent), "nothing of it is remembered for another of its name")
            try expect(try await store.grant("grant-1")?.revokedAt == now.advanced(by: 5), "its grant is revoked, once")
        },
        Check(description: "W-01: users are found by the bytes of their name, and names are taken once") { store in
            let user = User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now)
            try await store.add(user)
            try expect(try await store.user(named: "ada") == user, await store.user(id: "user-1") == user, "the same user")
            try expect(try await store.user(named: "ADA") == nil, await store.user(named: "ada ") == nil, "nobody else")
            do {
                try await store.add(User(id: "user-2", name: "ada", passwordHash: nil, createdAt: now))
                throw Failure(description: "expected: the name is taken")
            } catch let error as StoreError { try expect(error.kind == .conflict, "the error says conflict") }
            var changed = user
            changed.isDisabled = true
            try expect(try await store.update(changed, expecting: user), "changed")
            var late = user
            late.displayName = "Late"
            try expect(try await !store.update(late, expecting: user), "what was read before somebody else's change changes nothing")
            try expect(try await store.user(id: "user-1")?.isDisabled == true, "the change is there")
        },
        Check(description: "a session ends when it expires or is deleted") { store in
            let session = Session(hash: SecretHash(of: "s"), userID: "user-1", authenticatedAt: now, expiresAt: now.advanced(by: 10))
            try await store.add(session)
            try expect(try await store.session(session.hash, at: now) == session, "the same session")
            try expect(try await store.session(session.hash, at: now.advanced(by: 10)) == nil, "expired")
            try await store.deleteSession(session.hash)
            try expect(try await store.session(session.hash, at: now) == nil, "deleted")
        },
        Check(description: "B-07, I1: one transaction gives one code") { store in
            let transaction = SecretHash(of: "t")
            try expect(try await store.issue(try code("a"), consuming: transaction, until: now.advanced(by: 900)), "the first")
            try expect(try await !store.issue(try code("b"), consuming: transaction, until: now.advanced(by: 900)), "not the second")
            try expect(try await store.code(SecretHash(of: "a")) == code("a"), await store.code(SecretHash(of: "b")) == nil, "one code")
        },
        Check(description: "T-04, R117: a code is redeemed once; a replay ends the grant that came of it") { store in
            try await granted(store)
            let replay = try await store.redeem(
                SecretHash(of: "code"), for: try grant("grant-2"), refreshToken: token("x", grant: "grant-2"), clientIn: .elsewhere, at: now)
            try expect(replay == .replayed(grantID: "grant-1"), "the replay is recognized")
            try expect(
                try await store.grant("grant-1")?.revokedAt == now, await store.grant("grant-2") == nil,
                "the first grant is revoked, no second is made")
            try expect(try await rotate(store, "r1", "r2") == .unknown, "its refresh token is worth nothing")
        },
        Check(description: "an expired code and an unknown one are not redeemed") { store in
            _ = try await store.issue(try code(), consuming: SecretHash(of: "t"), until: now.advanced(by: 900))
            try expect(
                try await store.redeem(SecretHash(of: "code"), for: try grant(), refreshToken: nil, clientIn: .elsewhere, at: now.advanced(by: 60))
                    == .unknown, "too late")
            try expect(
                try await store.redeem(SecretHash(of: "other"), for: try grant(), refreshToken: nil, clientIn: .elsewhere, at: now) == .unknown,
                "unknown")
        },
        Check(description: "T-05: of fifty who redeem a code at once, one wins") { store in
            try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
            for round in 0..<10 {
                _ = try await store.issue(try code("code\(round)"), consuming: SecretHash(of: "t\(round)"), until: now.advanced(by: 900))
                let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for attempt in 0..<50 {
                        group.addTask {
                            try await store.redeem(
                                SecretHash(of: "code\(round)"), for: try grant("g\(round)-\(attempt)"), refreshToken: nil, clientIn: .elsewhere,
                                at: now)
                                == .redeemed
                        }
                    }
                    return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                try expect(wins == 1, "one of fifty, in every round")
            }
        },
        Check(description: "131: a refresh token becomes its successor, and within the grace window gives the very same again") { store in
            try await granted(store)
            guard case .rotated(let grant) = try await rotate(store, "r1", "r2") else { throw Failure(description: "expected: rotated") }
            try expect(grant.id == "grant-1" && grant.lastUsedAt == now, "the grant, used now")
            guard case .repeated(_, let sealed) = try await rotate(store, "r1", "other", at: now.advanced(by: 29)) else {
                throw Failure(description: "expected: repeated")
            }
            try expect(sealed == Array("sealed r2".utf8), "the very same successor")
            try expect(try await store.refreshToken(SecretHash(of: "other")) == nil, "no second successor")
        },
        Check(description: "F-04: after the grace window a reuse ends the grant") { store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2")
            try expect(try await rotate(store, "r1", "x", at: now.advanced(by: 30)) == .reused(grantID: "grant-1"), "reuse")
            try expect(try await rotate(store, "r2", "r3", at: now.advanced(by: 31)) == .unknown, "the successor is dead too")
        },
        Check(description: "F-03: grace covers the immediate predecessor only") { store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2")
            _ = try await rotate(store, "r2", "r3")
            try expect(try await rotate(store, "r1", "x") == .reused(grantID: "grant-1"), "a token two generations old is a theft")
            try expect(try await rotate(store, "r3", "r4") == .unknown, "and ends the chain")
        },
        Check(description: "F-02: twenty who refresh at once get one successor between them") { store in
            try await granted(store)
            var current = "r1"
            for round in 0..<10 {
                let previous = current
                let outcomes = try await withThrowingTaskGroup(of: Rotation.self) { group in
                    for attempt in 0..<20 { group.addTask { try await rotate(store, previous, "n\(round)-\(attempt)") } }
                    return try await group.reduce(into: [Rotation]()) { $0.append($1) }
                }
                let rotated = outcomes.count { if case .rotated = $0 { true } else { false } }
                let repeated = Set(outcomes.compactMap { if case .repeated(_, let sealed) = $0 { sealed } else { nil } })
                try expect(rotated == 1 && repeated.count == 1, "one rotates, the others get the same successor")
                guard let sealed = repeated.first else { return }
                current = String(String(decoding: sealed, as: UTF8.self).dropFirst("sealed ".count))
            }
        },
        Check(description: "a refresh token ends by itself, and with its grant") { store in
            try await granted(store)
            try expect(try await rotate(store, "r1", "r2", at: now.advanced(by: 500)) == .unknown, "idle too long")
            try await store.revokeGrant("grant-1", at: now)
            try expect(try await rotate(store, "r1", "r2") == .unknown, "revoked")
            try await store.revokeGrant("grant-1", at: now.advanced(by: 5))
            try expect(try await store.grant("grant-1")?.revokedAt == now, "revoking twice changes nothing")
        },
        Check(description: "a clock that jumps back does not stretch the grace window") { store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2", at: now.advanced(by: 100))
            try expect(try await rotate(store, "r1", "x", at: now) == .reused(grantID: "grant-1"), "a use in the future is no grace")
        },
        Check(description: "131, M-14: two requests of one moment are no theft, whichever is decided first") { store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2", at: now.advanced(by: 1))
            guard case .repeated = try await rotate(store, "r1", "x", at: now) else {
                throw Failure(description: "expected: a clock that differs by a second revokes nothing")
            }
        },
        Check(description: "F-05: who may not exchange a token changes nothing, also when it was used before") { store in
            try await granted(store)
            let error = OAuthError(.invalidGrant, "no")
            for _ in 0..<2 {
                let refused = try await store.rotate(SecretHash(of: "r1"), to: successor("x"), grace: 30, at: now) { _ in error }
                try expect(refused == .refused(error), "refused")
            }
            _ = try await rotate(store, "r1", "r2")
            let late = try await store.rotate(SecretHash(of: "r1"), to: successor("x"), grace: 30, at: now.advanced(by: 100)) { _ in error }
            try expect(late == .refused(error), "refused before it counts as reuse")
            guard case .rotated = try await rotate(store, "r2", "r3", at: now.advanced(by: 101)) else {
                throw Failure(description: "expected: still alive")
            }
        },
        Check(description: "F-06: the tokens of somebody who is disabled are exchanged for nothing") { store in
            try await granted(store)
            let user = User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now)
            var disabled = user
            disabled.isDisabled = true
            _ = try await store.update(disabled, expecting: user)
            try expect(try await rotate(store, "r1", "r2") == .unknown, "a disabled user")
            _ = try await store.issue(try code("late"), consuming: SecretHash(of: "t2"), until: now.advanced(by: 900))
            let outcome = try await store.redeem(SecretHash(of: "late"), for: try grant("grant-2"), refreshToken: nil, clientIn: .elsewhere, at: now)
            try expect(outcome == .unknown, "nor are their codes")
        },
        Check(description: "F-12: whoever wins, revocation or refresh, no live token is left") { store in
            try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
            for round in 0..<20 {
                let grant = try grant("g\(round)")
                _ = try await store.issue(try code("c\(round)"), consuming: SecretHash(of: "t\(round)"), until: now.advanced(by: 900))
                _ = try await store.redeem(
                    SecretHash(of: "c\(round)"), for: grant, refreshToken: token("r\(round)", grant: grant.id), clientIn: .elsewhere, at: now)
                async let revoked: Void = store.revokeGrant(grant.id, at: now)
                async let rotation = store.rotate(SecretHash(of: "r\(round)"), to: successor("s\(round)"), grace: 30, at: now) { _ in nil }
                _ = try await (revoked, rotation)
                try expect(
                    try await store.rotate(SecretHash(of: "s\(round)"), to: successor("u\(round)"), grace: 30, at: now) { _ in nil } == .unknown,
                    "the successor is dead")
            }
        },
        Check(description: "revocations are listed from a moment on") { store in
            try await granted(store)
            try await store.revokeGrant("grant-1", at: now.advanced(by: 10))
            try await store.revokeAccessToken("jti", until: now.advanced(by: 100), at: now.advanced(by: 20))
            try expect(
                try await Set(store.revocations(since: now)) == [.grant("grant-1"), .accessToken("jti", until: now.advanced(by: 100))], "both")
            try expect(
                try await store.revocations(since: now.advanced(by: 15)) == [.accessToken("jti", until: now.advanced(by: 100))], "the later one")
        },
        Check(description: "a user's live grants, newest first") { store in
            try await granted(store)
            try expect(try await store.grants(ofUser: "user-1", at: now).map(\.id) == ["grant-1"], "the grant")
            try expect(try await store.grants(ofUser: "user-2", at: now).isEmpty, "nobody else's")
            try expect(try await store.grants(ofUser: "user-1", at: now.advanced(by: 1000)).isEmpty, "not after its end")
        },
        Check(description: "B-08: consent is remembered for exactly this user, client, resource, redirect URI and scope set") { store in
            func consent(_ redirect: String = "https://c.example/cb", _ scopes: ScopeSet = ["a", "b"], user: String = "user-1") throws
                -> RememberedConsent
            {
                RememberedConsent(
                    userID: user, clientID: try id1("client-1"), resource: "https://rs.example/mcp", redirectURI: redirect, scopes: scopes)
            }
            try await store.remember(try consent())
            try await store.remember(try consent())
            try expect(try await store.isRemembered(try consent("https://c.example/cb", ["b", "a"])), "in any order")
            for other in [
                try consent("https://c.example/cb2"), try consent("https://c.example/cb", ["a"]),
                try consent("https://c.example/cb", ["a", "b", "c"]), try consent(user: "user-2"),
            ] {
                try expect(try await !store.isRemembered(other), "nothing else")
            }
            try await store.forget(userID: "user-1", clientID: try id1("client-1"))
            try expect(try await !store.isRemembered(try consent()), "forgotten")
        },
        Check(description: "two servers that start at once agree on one signing key") { store in
            let keys = try await withThrowingTaskGroup(of: [SealedKey].self) { group in
                for index in 0..<8 {
                    group.addTask {
                        try await store.addSigningKey(
                            SealedKey(keyID: "k\(index)", algorithm: "ES256", sealed: [1, 2, 3], createdAt: now, activeFrom: now),
                            unlessActiveAfter: NumericDate(seconds: .min), upTo: NumericDate(seconds: .max))
                    }
                }
                return try await group.reduce(into: [[SealedKey]]()) { $0.append($1) }
            }
            try expect(Set(keys).count == 1 && keys[0].count == 1, "one key")
            try expect(try await store.signingKeys() == keys[0], "the same afterwards")
            func next(_ name: String, at moment: NumericDate, unlessAfter limit: NumericDate) async throws -> Int {
                let key = SealedKey(keyID: name, algorithm: "ES256", sealed: [4], createdAt: now, activeFrom: moment)
                let all = try await store.addSigningKey(key, unlessActiveAfter: limit, upTo: now.advanced(by: 100))
                return all.count
            }
            try expect(try await next("n1", at: now.advanced(by: 50), unlessAfter: now) == 2, "132: a next key is added")
            try expect(try await next("n2", at: now.advanced(by: 50), unlessAfter: now) == 2, "132: but not by two servers")
            try expect(try await next("n3", at: now.advanced(by: 101), unlessAfter: now.advanced(by: 50)) == 3, "one that follows")
            try expect(
                try await next("n4", at: now.advanced(by: 99), unlessAfter: now.advanced(by: 50)) == 4,
                "M-14: one that lies too far ahead stops nobody")
            for name in ["n3", "n4"] { try await store.removeSigningKey(name) }
            try await store.removeSigningKey("n1")
            try await store.removeSigningKey("n1")
            try expect(try await store.signingKeys() == keys[0], "taken away")
        },
        Check(description: "T-08: a store belongs to the issuer that claimed it first") { store in
            try expect(try await store.issuer() == nil, "to nobody at first")
            try expect(try await store.claim(issuer: "https://a.example") == "https://a.example", "the first")
            try expect(try await store.claim(issuer: "https://b.example") == "https://a.example", "still the first")
            try expect(try await store.issuer() == "https://a.example", "the first")
        },
        Check(description: "I1: what may be used once is used once, by whoever comes first") { store in
            let use = SingleUse(SecretHash(of: "jti"), until: now.advanced(by: 100))
            try expect(try await !store.isConsumed(use.hash), "not yet")
            let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<20 { group.addTask { try await store.consume(use) } }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            try expect(wins == 1, "one of twenty")
            try expect(try await store.isConsumed(use.hash), "used")
            _ = try await store.sweep(at: now.advanced(by: 99), limit: 100)
            try expect(try await !store.consume(use), "remembered as long as it was asked")
        },
        Check(description: "X-17: a grant that uses something up is kept once, and not for somebody who is disabled") { store in
            let use = SingleUse(SecretHash(of: "assertion"), until: now.advanced(by: 100))
            try expect(try await !store.add(try grant("g0"), consuming: use, clientIn: .elsewhere), "no such user")
            try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
            let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<20 { group.addTask { try await store.add(try grant("g\(index)"), consuming: use, clientIn: .elsewhere) } }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            try expect(wins == 1, "one of twenty")
            try expect(try await store.grants(limit: 100, at: now).count == 1, "one grant")
            let machine = Grant(
                id: "machine", type: .clientCredentials, clientID: try id1("client-1"), userID: nil, scopes: [], resource: "https://rs.example/mcp",
                createdAt: now, expiresAt: now.advanced(by: 10), lastUsedAt: now)
            try expect(
                try await store.add(machine, consuming: nil, clientIn: .elsewhere), await store.grant("machine") == machine, "a client of its own")
            try await store.note([GrantUse(grantID: "machine", operation: "tool x", time: now.advanced(by: 5))])
            let noted = try await store.grant("machine")
            try expect(noted?.lastOperation == "tool x", noted?.lastUsedAt == now.advanced(by: 5), "what it did last")
        },
        Check(description: "F-06: no grant of a client begins once it is disabled or deleted, by a code, a device or an assertion") { store in
            try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
            let client = try client()
            try await store.save(client, limit: 10)
            var attempts = 0
            func begin() async throws -> [Bool] {
                attempts += 1
                let name = "\(attempts)"
                _ = try await store.issue(try code("c" + name), consuming: SecretHash(of: "t" + name), until: now.advanced(by: 900))
                let device = DeviceAuthorization(
                    hash: SecretHash(of: "d" + name), userCode: SecretHash(of: "u" + name), clientID: client.id, scopes: [],
                    resource: "https://rs.example/mcp", expiresAt: now.advanced(by: 600))
                try await store.add(device, limit: 10, at: now)
                _ = try await store.decide(.approved(userID: "user-1", scopes: [], authenticatedAt: nil), userCode: device.userCode, at: now)
                let code = try await store.redeem(
                    SecretHash(of: "c" + name), for: try grant("a" + name), refreshToken: nil, clientIn: .store, at: now)
                return [
                    code == .redeemed,
                    try await store.redeemDevice(device.hash, for: try grant("b" + name), refreshToken: nil, clientIn: .store, at: now),
                    try await store.add(try grant("c" + name), consuming: nil, clientIn: .store),
                ]
            }
            try expect(try await begin() == [true, true, true], "while it is let in")
            var disabled = client
            disabled.isDisabled = true
            _ = try await store.replace(disabled, expecting: client)
            try expect(try await begin() == [false, false, false], "disabled")
            _ = try await store.replace(client, expecting: disabled)
            try expect(try await begin() == [true, true, true], "let in again")
            try await store.deleteClient(client.id, at: now)
            try expect(try await begin() == [false, false, false], "deleted")
        },
        Check(description: "P-08, X-18: people of other tables are found by issuer and subject, and each is there once") { store in
            let identity = ExternalIdentity(issuer: "https://idp.example", subject: "caf\u{E9}")
            let user = User(id: "user-1", name: "external.1", displayName: "Ada", passwordHash: nil, identity: identity, createdAt: now)
            try await store.add(user)
            try expect(try await store.user(identity) == user, "the same user")
            for other in [
                ExternalIdentity(issuer: "https://other.example", subject: "caf\u{E9}"),
                ExternalIdentity(issuer: "https://idp.example", subject: "cafe\u{301}"),
            ] { try expect(try await store.user(other) == nil, "nobody else") }
            do {
                try await store.add(User(id: "user-2", name: "external.2", passwordHash: nil, identity: identity, createdAt: now))
                throw Failure(description: "expected: the identity is taken")
            } catch let error as StoreError { try expect(error.kind == .conflict, "the error says conflict") }
            try expect(
                try await store.users(after: "", limit: 10).map(\.id) == ["user-1"], await store.users(after: "external.1", limit: 10).isEmpty,
                "listed")
        },
        Check(description: "a one-time password is good once, and so is everything before it") { store in
            try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
            try expect(try await store.useOneTimeStep(100, ofUser: "user-1"), "the first")
            try expect(try await !store.useOneTimeStep(100, ofUser: "user-1"), await !store.useOneTimeStep(99, ofUser: "user-1"), "not again")
            try expect(try await store.useOneTimeStep(101, ofUser: "user-1"), await !store.useOneTimeStep(1, ofUser: "user-2"), "the next one")
        },
        Check(description: "a user's sessions end together") { store in
            for (index, user) in ["user-1", "user-1", "user-2"].enumerated() {
                try await store.add(
                    Session(hash: SecretHash(of: "s\(index)"), userID: user, authenticatedAt: now, expiresAt: now.advanced(by: 100)))
            }
            _ = try await store.issue(try code("waiting"), consuming: SecretHash(of: "t8"), until: now.advanced(by: 900))
            let device = DeviceAuthorization(
                hash: SecretHash(of: "device"), userCode: SecretHash(of: "u"), clientID: try id1("client-1"), scopes: [],
                resource: "https://rs.example/mcp", expiresAt: now.advanced(by: 600))
            try await store.add(device, limit: 10, at: now)
            _ = try await store.decide(.approved(userID: "user-1", scopes: [], authenticatedAt: now), userCode: device.userCode, at: now)
            try await store.deleteSessions(ofUser: "user-1")
            try expect(
                try await store.code(SecretHash(of: "waiting")) == nil, await store.poll(device.hash, by: device.clientID, at: now) == .unknown,
                "and what they allowed and nobody redeemed")
            try expect(
                try await store.session(SecretHash(of: "s1"), at: now) == nil, await store.session(SecretHash(of: "s2"), at: now) != nil,
                "theirs only")
        },
        Check(description: "X-08: a device code gives one grant, after somebody allowed it") { store in
            try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
            let device = DeviceAuthorization(
                hash: SecretHash(of: "device"), userCode: SecretHash(of: "code"), clientID: try id1("client-1"), scopes: ["read", "write"],
                resource: "https://rs.example/mcp", expiresAt: now.advanced(by: 600))
            try await store.add(device, limit: 1, at: now)
            do {
                try await store.add(
                    DeviceAuthorization(
                        hash: SecretHash(of: "other"), userCode: SecretHash(of: "other"), clientID: device.clientID, scopes: [],
                        resource: device.resource, expiresAt: now.advanced(by: 600)), limit: 1, at: now)
                throw Failure(description: "expected: no more than the limit wait")
            } catch let error as StoreError { try expect(error.kind == .full, "the error says full") }
            func poll(_ seconds: Int64, _ client: String = "client-1") async throws -> DevicePoll {
                try await store.poll(device.hash, by: id1(client), at: now.advanced(by: seconds))
            }
            try expect(try await poll(0) == .pending, await poll(1) == .slowDown, "asked too soon")
            try expect(try await poll(7) == .slowDown, await poll(30) == .pending, "and then waits longer")
            try expect(try await poll(31, "client-2") == .unknown, "another client's")
            try expect(try await store.device(userCode: device.userCode, at: now)?.hash == device.hash, "found by its user code")
            let approval = DeviceAuthorization.State.approved(userID: "user-1", scopes: ["read"], authenticatedAt: now)
            try expect(try await store.decide(approval, userCode: device.userCode, at: now), "decided")
            try expect(try await !store.decide(.denied, userCode: device.userCode, at: now), "once")
            guard case .approved(let found) = try await poll(60) else { throw Failure(description: "expected: approved") }
            try expect(found.state == approval && found.scopes == device.scopes, "as it was approved")
            let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        try await store.redeemDevice(
                            device.hash, for: try grant("g\(index)"), refreshToken: token("r\(index)", grant: "g\(index)"), clientIn: .elsewhere,
                            at: now)
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            try expect(wins == 1, "one of twenty")
            try expect(try await store.grants(limit: 100, at: now).count == 1, await poll(90) == .unknown, "one grant, and the code is used")
        },
        Check(description: "X-08: a device code ends by itself, when it is denied, and with its user") { store in
            try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, isDisabled: true, createdAt: now))
            for (name, state) in [
                ("late", nil), ("denied", DeviceAuthorization.State.denied),
                ("disabled", .approved(userID: "user-1", scopes: [], authenticatedAt: nil)),
            ] {
                let device = DeviceAuthorization(
                    hash: SecretHash(of: name), userCode: SecretHash(of: "u" + name), clientID: try id1("client-1"), scopes: [],
                    resource: "https://rs.example/mcp", expiresAt: now.advanced(by: 600))
                try await store.add(device, limit: 10, at: now)
                if let state { _ = try await store.decide(state, userCode: device.userCode, at: now) }
                let late = now.advanced(by: 600)
                switch name {
                case "late":
                    try expect(try await store.poll(device.hash, by: device.clientID, at: late) == .expired, "too late")
                    try expect(try await !store.decide(.denied, userCode: device.userCode, at: late), "too late to decide")
                case "denied": try expect(try await store.poll(device.hash, by: device.clientID, at: now) == .denied, "denied")
                default:
                    try expect(
                        try await !store.redeemDevice(device.hash, for: try grant(), refreshToken: nil, clientIn: .elsewhere, at: now),
                        "a disabled user")
                }
            }
        },
        Check(description: "M-09: after a restored backup everything ends") { store in
            try await granted(store)
            try await store.add(Session(hash: SecretHash(of: "s"), userID: "user-1", authenticatedAt: now, expiresAt: now.advanced(by: 100)))
            _ = try await store.issue(try code("later"), consuming: SecretHash(of: "t9"), until: now.advanced(by: 900))
            try await store.endEverything(at: now)
            try expect(
                try await store.session(SecretHash(of: "s"), at: now) == nil, await store.code(SecretHash(of: "later")) == nil, "no session, no code")
            try expect(try await rotate(store, "r1", "r2") == .unknown, "no refresh token")
            try expect(try await store.revocations(since: now) == [.grant("grant-1")], "and everybody can know")
        },
        Check(description: "M-13: what expired is swept, a bounded number at a time; what lives stays") { store in
            try await granted(store)
            for index in 0..<20 {
                try await store.add(
                    Session(hash: SecretHash(of: "s\(index)"), userID: "u", authenticatedAt: now, expiresAt: now.advanced(by: index < 10 ? 1 : 9999)))
            }
            try expect(try await store.sweep(at: now, limit: 100) == 0, "nothing yet")
            try expect(try await store.sweep(at: now.advanced(by: 5), limit: 4) == 4, "four")
            try expect(try await store.sweep(at: now.advanced(by: 5), limit: 100) == 6, "the rest")
            try expect(try await store.session(SecretHash(of: "s15"), at: now) != nil, "the living stay")
            var total = 0
            var count = 0
            repeat {
                count = try await store.sweep(at: now.advanced(by: 1_000_000), limit: 100)
                total += count
            } while count > 0
            try expect(
                try await store.grant("grant-1") == nil, await store.refreshToken(SecretHash(of: "r1")) == nil && total >= 13,
                "everything goes at last")
        },
    ]
}

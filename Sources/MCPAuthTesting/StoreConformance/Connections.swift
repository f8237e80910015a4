import JOSE
import MCPAuthorizationServer
import OAuth

extension StoreConformance {
    private static let identity = ExternalIdentity(issuer: "https://idp.example", subject: "caf\u{E9}")

    private static func users(_ store: any AuthorizationServerStore) async throws {
        try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
        try await store.add(User(id: "user-2", name: "grace", passwordHash: nil, createdAt: now))
    }

    private static func connection(_ user: String = "user-1", revision: Int64 = 1) -> Connection {
        Connection(
            identity: identity, userID: user, provider: "idp", accountName: "ada@idp", sealedTokens: [1, 2], permissions: ["read"],
            roles: ["an editor", "\"quoted\""], checkedAt: now, revision: revision)
    }

    private static func conflict(_ body: () async throws -> Void, _ expectation: String) async throws {
        do { try await body() } catch let error as StoreError where error.kind == .conflict { return }
        throw Failure(description: "expected: \(expectation)")
    }

    static let connections: [Check] = [
        Check(description: "P-04: a waiting sign-in is taken once, by one of twenty, and not after it has expired") { store in
            let pending = PendingSignIn(hash: SecretHash(of: "state"), sealed: [1, 2, 3], expiresAt: now.advanced(by: 600))
            try await store.add(pending, limit: 10, at: now)
            let winners = try await withThrowingTaskGroup(of: PendingSignIn?.self) { group in
                for _ in 0..<20 { group.addTask { try await store.takePendingSignIn(pending.hash, at: now) } }
                var winners: [PendingSignIn] = []
                for try await found in group.compactMap(\.self) { winners.append(found) }
                return winners
            }
            try expect(winners == [pending], "one of twenty takes it")
            try await store.add(pending, limit: 10, at: now)
            try expect(try await store.takePendingSignIn(pending.hash, at: now.advanced(by: 600)) == nil, "not after it has expired")
        },
        Check(description: "waiting sign-ins are limited, and expired ones make room") { store in
            for index in 0..<3 {
                try await store.add(
                    PendingSignIn(hash: SecretHash(of: "\(index)"), sealed: [], expiresAt: now.advanced(by: 600)), limit: 3, at: now)
            }
            let more = PendingSignIn(hash: SecretHash(of: "more"), sealed: [], expiresAt: now.advanced(by: 1200))
            do {
                try await store.add(more, limit: 3, at: now)
                throw Failure(description: "expected: a full store rejects the fourth")
            } catch let error as StoreError { try expect(error.kind == .full, "full") }
            try await store.add(more, limit: 3, at: now.advanced(by: 601))
        },
        Check(description: "P-08: an identity belongs to one user, compared as bytes") { store in
            try await users(store)
            try await store.save(connection())
            try expect(try await store.connection(identity) == connection(), "it is found")
            try expect(
                try await store.connection(ExternalIdentity(issuer: identity.issuer, subject: "cafe\u{301}")) == nil,
                "another spelling is another identity")
            try await conflict({ try await store.save(connection("user-2")) }, "another user cannot have it")
            try await conflict({ try await store.save(connection("nobody")) }, "a user who does not exist cannot have it")
            try expect(
                try await store.connections(ofUser: "user-1") == [connection()], try await store.connections(ofUser: "user-2").isEmpty, "whose it is")
            let other = ExternalIdentity(issuer: "https://other.example", subject: "1")
            try await store.add(User(id: "user-3", name: "external.3", passwordHash: nil, identity: other, createdAt: now))
            try await conflict(
                { try await store.save(Connection(identity: other, userID: "user-1", provider: "other", checkedAt: now)) },
                "the identity that a user was created with is taken too")
        },
        Check(description: "P-10: of twenty who refresh at once, one holds the claim, and a changed connection is not overwritten") { store in
            try await users(store)
            try await store.save(connection())
            let claims = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<20 { group.addTask { try await store.claim(connection(), until: now.advanced(by: 30), at: now) } }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            try expect(claims == 1, "one claim")
            try expect(try await store.claim(connection(), until: now.advanced(by: 60), at: now.advanced(by: 30)), "a claim ends by itself")
            var changed = connection(revision: 2)
            changed.sealedTokens = [9]
            changed.permissions = nil
            changed.roles = ["another"]
            try expect(try await store.replace(changed, expecting: connection()), "the first change wins")
            try expect(try await !store.replace(connection(revision: 3), expecting: connection()), "the second one loses")
            try expect(try await !store.claim(connection(), until: now.advanced(by: 99), at: now), "an old revision claims nothing")
            try expect(try await store.claim(changed, until: now.advanced(by: 99), at: now), "a change releases the claim")
            try expect(try await store.connection(identity) == changed, "the change is there")
        },
        Check(description: "connections end with their user, and only their own user deletes them") { store in
            try await users(store)
            try await store.save(connection())
            try await store.deleteConnection(identity, ofUser: "user-2")
            try expect(try await store.connection(identity) != nil, "not another user's")
            try await store.deleteConnection(identity, ofUser: "user-1")
            try expect(try await store.connection(identity) == nil, "one's own")
            try await store.save(connection())
            try await store.deleteUser(id: "user-1", at: now)
            try expect(try await store.connection(identity) == nil, "with the user")
        },
        Check(description: "tokens that no grant needs are taken once, by a caller that knows their provider") { store in
            func take(_ providers: [String] = ["other", "idp"], at time: NumericDate = now) async throws -> [Connection] {
                try await store.takeUnusedTokens(ofProviders: providers, at: time, limit: 10)
            }
            try await store.save(try client(), limit: 10)
            try await users(store)
            try await store.save(connection())
            try expect(try await take().isEmpty, "there was no grant yet")
            _ = try await store.issue(try code(), consuming: SecretHash(of: "t1"), until: now.advanced(by: 900))
            let outcome = try await store.redeem(SecretHash(of: "code"), for: try grant(), refreshToken: token("r1"), clientIn: .elsewhere, at: now)
            try expect(outcome == .redeemed, "a grant")
            try expect(try await take(at: now.advanced(by: 5)).isEmpty, "a live grant needs them")
            try await store.revokeGrant("grant-1", at: now.advanced(by: 10))
            let later = now.advanced(by: 20)
            try expect(try await take([], at: later).isEmpty, await take(["other"], at: later).isEmpty, "another provider's caller")
            let takers = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<10 { group.addTask { try await take(at: later).count } }
                return try await group.reduce(0, +)
            }
            try expect(takers == 1, "once")
            let left = try await store.connection(identity)
            try expect(left?.sealedTokens == nil, left?.revision == 2, "the connection stays, without tokens")

            var again = connection(revision: 3)
            again.checkedAt = now.advanced(by: 30)
            try await store.save(again)
            try expect(try await take(at: now.advanced(by: 40)).isEmpty, "a later sign-in is not over")
            try await store.deleteUser(id: "user-1", at: now.advanced(by: 50))
            let orphans = try await take(at: now.advanced(by: 60))
            try expect(orphans.map(\.sealedTokens) == [[1, 2]], orphans.map(\.identity) == [identity], "of a deleted user")
            try expect(orphans.map(\.userID) == ["user-1"], try await take(at: now.advanced(by: 60)).isEmpty, "once")
            try await store.add(User(id: "user-3", name: "edsger", passwordHash: nil, createdAt: now))
            try await store.save(connection("user-3"))
            try await store.deleteUser(id: "user-3", at: now)
            _ = try await store.sweep(at: now.advanced(by: 31 * 86400), limit: 100)
            try expect(try await take(at: now.advanced(by: 31 * 86400)).isEmpty, "not kept for ever")
        },
    ]
}

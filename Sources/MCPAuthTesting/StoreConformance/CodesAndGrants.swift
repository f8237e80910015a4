import JOSE
import MCPAuthorizationServer
import OAuth

extension StoreConformance {
    /// Codes, the grants that result from them, and everything else that can be used once.
    static let codesAndGrants: [Check] = [
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
        Check(description: "a user's live grants, newest first") { store in
            try await granted(store)
            try expect(try await store.grants(ofUser: "user-1", at: now).map(\.id) == ["grant-1"], "the grant")
            try expect(try await store.grants(ofUser: "user-2", at: now).isEmpty, "nobody else's")
            try expect(try await store.grants(ofUser: "user-1", at: now.advanced(by: 1000)).isEmpty, "not after its end")
        },
    ]
}

import JOSE
import MCPAuthorizationServer
import OAuth

extension StoreConformance {
    /// Rotation with its grace period, and the events that end a grant (requirement 131).
    static let refreshTokens: [Check] = [
        Check(description: "131: a refresh token becomes its successor, and within the grace window gives the very same again") { store in
            try await granted(store)
            guard case .rotated(let grant) = try await rotate(store, "r1", "r2") else { throw Failure(description: "expected: rotated") }
            try expect(grant.id == "grant-1" && grant.lastUsedAt == now, "the grant, used now")
            guard case .repeated(let again) = try await rotate(store, "r1", "r2", at: now.advanced(by: 29)) else {
                throw Failure(description: "expected: repeated")
            }
            try expect(again == grant, "and nothing changes")
            try expect(try await rotate(store, "r1", "other", at: now.advanced(by: 29)) == .unknown, "no second successor")
            guard case .rotated = try await rotate(store, "r2", "r3") else { throw Failure(description: "expected: the successor goes on") }
        },
        Check(description: "F-04: after the grace window a reuse ends the grant") { store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2")
            try expect(try await rotate(store, "r1", "x", at: now.advanced(by: 30)) == .reused(grantID: "grant-1"), "reuse")
            try expect(try await rotate(store, "r2", "r3", at: now.advanced(by: 31)) == .unknown, "the successor is dead too")
        },
        Check(description: "131: a lost answer is no theft: while its successor was not used, the predecessor gives the same one for longer") {
            store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2")
            // The use of a token that was issued before the refresh says nothing about the successor.
            try await store.note([GrantUse(grantID: "grant-1", operation: "tool a", time: now.advanced(by: 40), tokenIssuedAt: now.advanced(by: -1))])
            for seconds: Int64 in [30, 299] {
                guard case .recovered(_, now) = try await rotate(store, "r1", "r2", at: now.advanced(by: seconds), recovery: 300) else {
                    throw Failure(description: "expected: recovered after \(seconds) seconds")
                }
            }
            try expect(try await rotate(store, "r1", "x", at: now.advanced(by: 40), recovery: 300) == .unknown, "no second successor")
            guard case .rotated = try await rotate(store, "r2", "r3", at: now.advanced(by: 299), recovery: 300) else {
                throw Failure(description: "expected: the successor goes on")
            }
        },
        Check(
            description: "F-04: two parties that take turns are noticed, also where nobody sees their access tokens: no answer is lost twice in a row"
        ) {
            store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2")
            for seconds: Int64 in [40, 80] {
                guard case .recovered = try await rotate(store, "r1", "r2", at: now.advanced(by: seconds), recovery: 300) else {
                    throw Failure(description: "expected: recovered, however often it is asked")
                }
            }
            _ = try await rotate(store, "r2", "r3", at: now.advanced(by: 100))
            try expect(
                try await rotate(store, "r2", "r3", at: now.advanced(by: 140), recovery: 300) == .reused(grantID: "grant-1"), "their turn again")
        },
        Check(description: "131: an answer may be lost again once one has arrived") { store in
            try await granted(store)
            for (index, seconds) in [Int64(0), 100, 200].enumerated() {
                let (token, next) = ("r\(index + 1)", "r\(index + 2)")
                guard case .rotated = try await rotate(store, token, next, at: now.advanced(by: seconds), recovery: 300) else {
                    throw Failure(description: "expected: rotated")
                }
                guard index != 1 else { continue }
                guard case .recovered = try await rotate(store, token, next, at: now.advanced(by: seconds + 40), recovery: 300) else {
                    throw Failure(description: "expected: recovered in generation \(index + 1)")
                }
            }
        },
        Check(description: "F-04: once the successor was exchanged, or the time is over, the predecessor ends the grant") { store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2")
            _ = try await rotate(store, "r2", "r3", at: now.advanced(by: 40))
            try expect(
                try await rotate(store, "r1", "r2", at: now.advanced(by: 41), recovery: 300) == .reused(grantID: "grant-1"), "both parties acted")
        },
        Check(description: "F-04: after the time for lost answers a reuse ends the grant") { store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2")
            try expect(try await rotate(store, "r1", "r2", at: now.advanced(by: 300), recovery: 300) == .reused(grantID: "grant-1"), "too late")
        },
        Check(description: "F-04: once an access token was used that came with the successor, the predecessor ends the grant") { store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2")
            try await store.note([
                GrantUse(grantID: "grant-1", operation: "tool a", time: now.advanced(by: 10), tokenIssuedAt: now),
                // The use of an older token does not replace what is known of a younger one.
                GrantUse(grantID: "grant-1", operation: "tool b", time: now.advanced(by: 20), tokenIssuedAt: now.advanced(by: -100)),
                GrantUse(grantID: "grant-1", operation: "tool c", time: now.advanced(by: 30)),
            ])
            try expect(
                try await rotate(store, "r1", "r2", at: now.advanced(by: 40), recovery: 300) == .reused(grantID: "grant-1"), "both parties acted")
        },
        Check(description: "F-03: grace covers the immediate predecessor only") { store in
            try await granted(store)
            _ = try await rotate(store, "r1", "r2")
            _ = try await rotate(store, "r2", "r3")
            try expect(try await rotate(store, "r1", "x") == .reused(grantID: "grant-1"), "a token two generations old is a theft")
            try expect(try await rotate(store, "r3", "r4") == .unknown, "and ends the chain")
        },
        Check(description: "F-03, I3: a token of long ago ends the grant too; so does one that the store does not know any more, or not yet") {
            store in
            try await granted(store)
            for index in 1..<50 {
                guard case .rotated = try await rotate(store, "r\(index)", "r\(index + 1)") else { throw Failure(description: "expected: rotated") }
            }
            try expect(try await store.grant(of: reference("r1"))?.id == "grant-1", "its grant is found")
            try expect(try await rotate(store, "r1", "x") == .reused(grantID: "grant-1"), "forty-nine generations old")
            try expect(try await rotate(store, "r50", "r51") == .unknown, "and ends the chain")
            try expect(
                try await store.grant(of: reference("r1", grant: "none")) == nil,
                await store.rotate(
                    reference("r1", grant: "none"), to: successor("x"), rules: RefreshRules(grace: 30), at: now
                ) { _ in nil } == .unknown, "no such grant")
        },
        Check(description: "a grant that came without a refresh token has none") { store in
            try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now))
            _ = try await store.issue(try code(), consuming: SecretHash(of: "t1"), until: now.advanced(by: 900))
            _ = try await store.redeem(SecretHash(of: "code"), for: try grant(), refreshToken: nil, clientIn: .elsewhere, at: now)
            try expect(try await rotate(store, "r1", "r2") == .unknown, "nothing to exchange")
            try expect(try await store.grant("grant-1")?.revokedAt == nil, "and nothing ends")
        },
        Check(description: "131: a token lives no longer than its grant, whatever it is told") { store in
            try await granted(store)
            let forever = Successor(hash: SecretHash(of: "r2"), expiresAt: now.advanced(by: 1_000_000))
            _ = try await store.rotate(reference("r1"), to: forever, rules: RefreshRules(grace: 30), at: now) { _ in nil }
            guard case .rotated = try await rotate(store, "r2", "r3", at: now.advanced(by: 999)) else {
                throw Failure(description: "expected: rotated")
            }
            try expect(try await rotate(store, "r3", "r4", at: now.advanced(by: 1000)) == .unknown, "the grant is over")
        },
        Check(description: "F-02: twenty who refresh at once get one successor between them") { store in
            try await granted(store)
            var current = "r1"
            for round in 0..<10 {
                let previous = current
                let outcomes = try await withThrowingTaskGroup(of: Rotation.self) { group in
                    for _ in 0..<20 { group.addTask { try await rotate(store, previous, "n\(round)") } }
                    return try await group.reduce(into: [Rotation]()) { $0.append($1) }
                }
                let rotated = outcomes.count { if case .rotated = $0 { true } else { false } }
                let repeated = outcomes.count { if case .repeated = $0 { true } else { false } }
                try expect(rotated == 1 && repeated == 19, "one rotates, the others hear of the same successor")
                current = "n\(round)"
            }
        },
        Check(description: "a refresh token ends by itself, and with its grant") { store in
            try await granted(store)
            try expect(try await rotate(store, "r1", "r2", at: now.advanced(by: 500)) == .unknown, "idle too long")
            guard case .rotated = try await rotate(store, "r1", "r2", at: now.advanced(by: 400)) else {
                throw Failure(description: "expected: rotated")
            }
            try expect(try await rotate(store, "r2", "r3", at: now.advanced(by: 500)) == .unknown, "so is its successor, by its own time")
            try await store.revokeGrant("grant-1", at: now)
            try expect(try await rotate(store, "r2", "r3", at: now.advanced(by: 410)) == .unknown, "revoked")
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
            guard case .repeated = try await rotate(store, "r1", "r2", at: now) else {
                throw Failure(description: "expected: a clock that differs by a second revokes nothing")
            }
        },
        Check(description: "F-05: who may not exchange a token changes nothing, also when it was used before") { store in
            try await granted(store)
            let error = OAuthError(.invalidGrant, "no")
            for _ in 0..<2 {
                let refused = try await store.rotate(reference("r1"), to: successor("x"), rules: RefreshRules(grace: 30), at: now) { _ in error }
                try expect(refused == .refused(error), "refused")
            }
            _ = try await rotate(store, "r1", "r2")
            let late = try await store.rotate(reference("r1"), to: successor("x"), rules: RefreshRules(grace: 30), at: now.advanced(by: 100)) { _ in
                error
            }
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
                async let rotation = store.rotate(
                    reference("r\(round)", grant: grant.id), to: successor("s\(round)"), rules: RefreshRules(grace: 30), at: now
                ) { _ in nil }
                _ = try await (revoked, rotation)
                let late = try await store.rotate(
                    reference("s\(round)", grant: grant.id), to: successor("u\(round)"), rules: RefreshRules(grace: 30), at: now
                ) { _ in nil }
                try expect(late == .unknown, "the successor is dead")
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
    ]
}

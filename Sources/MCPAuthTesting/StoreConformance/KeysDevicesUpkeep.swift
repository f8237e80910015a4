import JOSE
import MCPAuthorizationServer
import OAuth

extension StoreConformance {
    /// Signing keys, waiting devices, and the deletion of expired data.
    static let keysDevicesUpkeep: [Check] = [
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
                try await store.grant("grant-1") == nil, await store.grant(of: reference("r1")) == nil && total >= 13,
                "everything goes at last")
        },
    ]
}

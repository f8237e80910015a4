import JOSE
import MCPAuthorizationServer
import OAuth

extension StoreConformance {
    /// Clients, users, their sessions, and their consents.
    static let clientsAndUsers: [Check] = [
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
        Check(description: "D-01: a client that registered itself, got nothing and goes leaves nothing behind") { store in
            try await store.save(try client(), limit: 10)
            try await store.deleteClient(try id1("client-1"), at: now)
            try await store.save(try client("configured", origin: .configured), limit: 10)
            try await store.deleteClient(try id1("configured"), at: now)
            try expect(
                try await store.revocations(since: now) == [.client(id1("configured"), upTo: now)], "only one that may have had tokens by exchange")
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
        Check(description: "a session ends when it expires or is deleted") { store in
            let session = Session(hash: SecretHash(of: "s"), userID: "user-1", authenticatedAt: now, expiresAt: now.advanced(by: 10))
            try await store.add(session)
            try expect(try await store.session(session.hash, at: now) == session, "the same session")
            try expect(try await store.session(session.hash, at: now.advanced(by: 10)) == nil, "expired")
            try await store.deleteSession(session.hash)
            try expect(try await store.session(session.hash, at: now) == nil, "deleted")
        },
        Check(description: "a user's sessions are listed, newest first, with their browsers") { store in
            for (index, browser) in ["Firefox, Linux", nil, "Safari, iPhone"].enumerated() {
                try await store.add(
                    Session(
                        hash: SecretHash(of: "s\(index)"), userID: index == 1 ? "user-2" : "user-1", authenticatedAt: now.advanced(by: Int64(index)),
                        expiresAt: now.advanced(by: 100), browser: browser))
            }
            try await store.add(
                Session(hash: SecretHash(of: "old"), userID: "user-1", authenticatedAt: now, expiresAt: now.advanced(by: 5), browser: nil))
            try expect(
                try await store.sessions(ofUser: "user-1", at: now.advanced(by: 5)).map(\.browser) == ["Safari, iPhone", "Firefox, Linux"],
                "those that have not expired")
        },
        Check(description: "sessions end with the session at the identity provider with which they began, and no other ones") { store in
            let (one, two) = (SecretHash(of: "one"), SecretHash(of: "two"))
            for (index, provider) in [one, one, two, nil].enumerated() {
                let session = Session(
                    hash: SecretHash(of: "s\(index)"), userID: "user-\(index)", authenticatedAt: now, expiresAt: now.advanced(by: 100),
                    providerSession: provider)
                try await store.add(session)
                try expect(try await store.session(session.hash, at: now) == session, "the same session")
            }
            try expect(try await store.deleteSessions(ofProviderSession: SecretHash(of: "other")).isEmpty, "nobody's")
            try expect(try await store.deleteSessions(ofProviderSession: one).sorted() == ["user-0", "user-1"], "whose they were")
            for (index, isThere) in [false, false, true, true].enumerated() {
                try expect(try await (store.session(SecretHash(of: "s\(index)"), at: now) != nil) == isThere, "session \(index)")
            }
            try expect(try await store.deleteSessions(ofProviderSession: one).isEmpty, "once")
        },
        Check(description: "B-05: a user and their sessions change in one step, and only while the session is there") { store in
            let user = User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now)
            try await store.add(user)
            for (index, owner) in ["user-1", "user-1", "user-2"].enumerated() {
                try await store.add(
                    Session(hash: SecretHash(of: "s\(index)"), userID: owner, authenticatedAt: now, expiresAt: now.advanced(by: 100)))
            }
            var changed = user
            changed.displayName = "Ada"
            let fresh = Session(hash: SecretHash(of: "new"), userID: "user-1", authenticatedAt: now, expiresAt: now.advanced(by: 100))
            func change(_ previous: User, _ old: String, at time: NumericDate = now) async throws -> Bool {
                try await store.update(changed, expecting: previous, replacing: SecretHash(of: old), with: fresh, at: time)
            }
            for old in ["gone", "s2"] { try expect(try await !change(user, old), "not by a session that is not theirs") }
            try expect(try await !change(user, "s0", at: now.advanced(by: 100)), "nor by one that has expired")
            try expect(try await !change(changed, "s0"), "nor where the user was changed since")
            try expect(
                try await store.user(id: "user-1") == user, try await store.session(fresh.hash, at: now) == nil, "nothing has changed")
            try expect(try await change(user, "s0"), "by a session of theirs")
            try expect(
                try await store.sessions(ofUser: "user-1", at: now) == [fresh],
                try await store.session(SecretHash(of: "s2"), at: now) != nil, "the only one, and nobody else's are gone")
            try expect(try await store.user(id: "user-1") == changed, "the change is there")
        },
        Check(description: "recovery codes are kept with their user, and go one by one") { store in
            let (one, other) = (SecretHash(of: "one"), SecretHash(of: "other"))
            let user = User(id: "user-1", name: "ada", passwordHash: nil, createdAt: now)
            try await store.add(user)
            var changed = user
            changed.recoveryCodes = [one, other]
            try expect(try await store.update(changed, expecting: user), "kept")
            try expect(try await store.user(id: "user-1")?.recoveryCodes == [one, other], "both are there")
            var used = changed
            used.recoveryCodes = [other]
            try expect(try await store.update(used, expecting: changed), try await !store.update(used, expecting: changed), "used up once")
        },
        Check(description: "deleting a user ends everything of theirs and frees the name") { store in
            try await store.save(try client(), limit: 10)
            try await granted(store)
            try await store.add(
                Session(hash: SecretHash(of: "s"), userID: "user-1", authenticatedAt: now, expiresAt: now.advanced(by: 100)))
            let consent = RememberedConsent(
                userID: "user-1", clientID: try id1("client-1"), resource: "https://rs.example/mcp", redirectURI: "https://c.example/cb", scopes: [])
            try await store.remember(consent)
            try await store.deleteUser(id: "user-1", at: now.advanced(by: 5))
            try await store.deleteUser(id: "user-1", at: now.advanced(by: 6))
            try expect(
                try await store.user(id: "user-1") == nil, try await store.session(SecretHash(of: "s"), at: now) == nil, "the user and the session")
            try expect(
                try await store.grant("grant-1")?.revokedAt == now.advanced(by: 5), try await !store.isRemembered(consent),
                "the grant is revoked, once, and the consent is gone")
            try expect(try await store.revocations(since: now.advanced(by: 1)) == [.grant("grant-1")], "resource servers can learn of it")
            try await store.add(User(id: "user-2", name: "ada", passwordHash: nil, createdAt: now))
            try expect(try await store.user(named: "ada")?.id == "user-2", "the name is free")
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
    ]
}

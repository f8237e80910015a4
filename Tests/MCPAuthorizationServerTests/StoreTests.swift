import OAuth
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import Testing

@Suite("The keys of a server")
struct KeyRingTests {
    @Test("T-08, O-03: a store belongs to one issuer and one master key, and a start with another leaves no trace")
    func foreign() async throws {
        let store = MemoryStore()
        let master = MasterKey.random()
        let harness = try await Harness(store: store, master: master)
        let client = try await harness.registered()
        let code = try await harness.code(client)
        for (issuer, key) in [("https://other.example", master), (Harness.issuer, MasterKey.random())] {
            for algorithms in [[SigningAlgorithm.es256], [.edDSA, .es256]] {
                let error = await #expect(throws: OAuthError.self) {
                    try await Harness(issuer: issuer, store: store, master: key) { $0.signingAlgorithms = algorithms }
                }
                #expect(error?.code == .invalidConfiguration)
            }
        }
        let again = try await Harness(store: store, master: master)
        #expect(try await again.redeem(client, code).status == 200)
        #expect(store.signingKeys().count == 1)
    }

    @Test("a mistyped scope of a resource is refused at the start")
    func mistyped() async throws {
        await #expect(throws: OAuthError.self) {
            try await Harness { $0.resources = [try! ProtectedResource(Harness.resource, scopes: [ScopeDescription("a\"b", "x")])] }
        }
    }
}

@Suite("Store in memory")
struct MemoryStoreTests {
    @Test("conformance", arguments: StoreConformance.checks)
    func conformance(_ check: StoreConformance.Check) async throws { try await check.run(on: MemoryStore()) }
}

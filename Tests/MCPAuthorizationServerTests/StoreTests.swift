import MCPAuthTesting
import MCPAuthorizationServer
import Testing

@Suite("Store in memory")
struct MemoryStoreTests {
    @Test("conformance", arguments: StoreConformance.checks)
    func conformance(_ check: StoreConformance.Check) async throws { try await check.run(on: MemoryStore()) }
}

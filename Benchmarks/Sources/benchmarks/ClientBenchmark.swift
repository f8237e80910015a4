import Foundation
import HTTPTypes
import JOSE
import MCPAuthClient
import MCPAuthHTTPClient
import OAuth

/// An authorized request through a session, beside the bare exchange with the same header. CPU of this process, the client.
enum ClientBenchmark {
    static func run(_ url: String) async throws {
        guard let target = WebURL(url) else { throw Unexpected() }
        let client = GuardedHTTPClient(.development)
        let store = MemoryTokenStore()
        let now = Clock.system.now
        let token = String(repeating: "t", count: 600)
        let record: JSONValue = [
            "server": .string(url), "resource": .string(url), "issuer": "https://issuer.example.com", "client_id": "bench",
            "access_token": .string(token), "token_type": "Bearer", "scope": "", "obtained_at": .int(now.seconds),
            "expires_at": .int(now.advanced(by: 3600).seconds),
        ]
        try await store.write(record.serialized, for: "tokens \(url)")
        let session = try AuthorizedSession(
            for: url, configuration: ClientConfiguration(name: "bench", grant: .authorizationCode(nil)), store: store, fetcher: client,
            exchange: client)
        let bare = OutboundRequest(.get, target, fields: [.authorization: "Bearer \(token)"])
        let plain = OutboundRequest(.get, target)
        func bareRequest() async throws {
            guard try await client.send(bare).body.collect(upTo: 1 << 20).isEmpty == false else { throw Unexpected() }
        }
        func authorized() async throws {
            guard try await session.send(plain).body.collect(upTo: 1 << 20).isEmpty == false else { throw Unexpected() }
        }
        for _ in 0..<500 {
            try await bareRequest()
            try await authorized()
        }
        var ratios: [Double] = []
        for _ in 0..<21 {
            let one = try await cost(bareRequest)
            let other = try await cost(authorized)
            ratios.append(other / one)
        }
        await client.shutdown()
        print(#"{"session_against_bare":\#(median(ratios))}"#)
    }

    private static func cost(_ body: () async throws -> Void) async throws -> Double {
        let before = processNanoseconds()
        for _ in 0..<400 { try await body() }
        return Double(processNanoseconds() - before)
    }
}

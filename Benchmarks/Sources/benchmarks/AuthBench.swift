import Foundation
import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import OAuth
enum AuthBench {
    static func run() throws {
        let origin = "http://127.0.0.1:8000"
        let resource = origin + "/mcp"
        let mint = try TokenMint(issuer: "https://issuer.example.com/rs", algorithm: .rs256, keyID: "rs")
        let server = try ResourceServer(
            resource, trusting: .keys([mint.key.verificationKey], issuer: mint.issuer),
            policy: ScopePolicy(operations: [Operation(kind: "route", name: "me"): "read:tasks"]))
        let token = try mint.token(subject: "benchmark", audience: resource, scopes: "read:tasks write:tasks")
        let request = HTTPRequest(
            method: .get, scheme: "http", authority: "127.0.0.1:8000", path: "/cached",
            headerFields: [.userAgent: "bench/1.0", .accept: "application/json, text/event-stream", .authorization: "Bearer " + token])
        let operation = Operation(kind: "route", name: "me")
        func once() -> Bool {
            guard case .accepted(let caller)? = server.identifyAtOnce(request, peer: "127.0.0.1") else { return false }
            return server.authorize(caller, operation) == nil
        }
        guard once() else { throw Unexpected() }
        let n = CommandLine.arguments.contains("short") ? 2000 : 300_000
        for _ in 0..<(CommandLine.arguments.contains("short") ? 1 : 5) {
            let start = processNanoseconds()
            for _ in 0..<n { keep(once()) }
            print(Double(processNanoseconds() - start) / Double(n), "ns")
        }
    }
}

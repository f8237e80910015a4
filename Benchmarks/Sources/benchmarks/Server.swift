import CAllocations
import Foundation
import Hummingbird
import JOSE
import MCPAuth
import MCPAuthHummingbird
import MCPAuthTesting
import MCPServer
import OAuth

/// One Hummingbird server with the same route four times: open, open with a bare check of a signature, behind a token that is cached, behind one that is
/// verified each time. And MCP.
enum Server {
    static func run(port: Int) async throws {
        let origin = "http://127.0.0.1:\(port)"
        let resource = origin + "/mcp"
        let algorithms = [("rs256", SigningAlgorithm.rs256), ("es256", .es256)]
        let mints: [(String, TokenMint)] = try algorithms.map { name, algorithm in
            (name, try TokenMint(issuer: "https://issuer.example.com/\(name)", algorithm: algorithm, keyID: name))
        }
        let tokens = try mints.map { _, mint in try mint.token(subject: "benchmark", audience: resource, scopes: "read:tasks write:tasks") }
        let signatures = try algorithms.indices.map { try BareSignature(of: tokens[$0], algorithms[$0].1, pem: mints[$0].1.publicKeyPEM) }
        func protection(_ mint: TokenMint, cacheCapacity: Int) throws -> ResourceServer {
            try ResourceServer(
                resource, trusting: .keys([mint.key.verificationKey], issuer: mint.issuer),
                policy: ScopePolicy(operations: [Operation(kind: "route", name: "me"): "read:tasks"]), cacheCapacity: cacheCapacity)
        }
        let tools = MCPServer("bench", version: "1.0") {
            Tool("add", "Adds two numbers", requires: "read:tasks") { (numbers: Numbers, _: ToolCall) in Sum(sum: numbers.a + numbers.b) }
        }
        let application = try MCPApplication.make(
            tools, .http(port: port), protectedBy: try protection(mints[0].1, cacheCapacity: 32768)
        ) { router in
            router.group("plain").group(context: PlainContext.self).get("") { _, context in context.name }
            for (index, (name, mint)) in mints.enumerated() {
                let signature = signatures[index]
                router.group("bare-\(name)").group(context: PlainContext.self).get("") { _, context in signature.isValid() ? context.name : "bad" }
                for (kind, capacity) in [("cached", 32768), ("uncached", 0)] {
                    guard let protection = try? protection(mint, cacheCapacity: capacity) else { continue }
                    router.group("\(kind)-\(name)").add(middleware: RequireToken(protection, operation: Operation(kind: "route", name: "me")))
                        .group(context: AuthenticatedContext<MCPRequestContext>.self).get("") { _, context in context.principal.subject }
                }
            }
            router.get("allocations") { _, _ in "\(allocation_count())" }
        } onRunning: { _ in
            for (index, (name, mint)) in mints.enumerated() {
                let good = tokens[index]
                let expired = try? mint.token(subject: "benchmark", audience: resource, scopes: "read:tasks write:tasks", expiresIn: -3600)
                print(
                    #"{"name":"\#(name)","token":"\#(good)","expired":"\#(expired ?? "")","issuer":"\#(mint.issuer)","pem":"\#(mint.publicKeyPEM.split(separator: "\n").joined(separator: "\\n"))"}"#
                )
            }
            print("ready")
            fflush(nil)
        }
        try await application.runService()
    }
}

struct Numbers: Decodable { var a: Int; var b: Int }
struct Sum: Codable { var sum: Int }

/// The same change of context as behind a token, without the token.
struct PlainContext: ChildRequestContext {
    var coreContext: CoreRequestContextStorage
    let name = "benchmark"
    init(context: MCPRequestContext) { coreContext = context.coreContext }
}

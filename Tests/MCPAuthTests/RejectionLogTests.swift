import HTTPTypes
import JOSE
import Logging
import MCPAuth
import MCPAuthTesting
import OAuth
import Synchronization
import Testing

/// The operator learns why a token was refused; the client does not.
@Suite("Why a token was rejected")
struct RejectionLogTests {
    static let resource = "https://rs.example/mcp"
    let time = TestClock()
    let mint: TokenMint
    let lines = Lines()
    let server: ResourceServer

    init() throws {
        mint = try TokenMint(issuer: "https://login.example/", clock: time.clock)
        var logger = Logger(label: "test") { [lines] _ in lines }
        logger.logLevel = .notice
        server = try ResourceServer(
            Self.resource, trusting: .keys([mint.key.verificationKey], issuer: mint.issuer), clock: time.clock, logger: logger)
    }

    func send(_ token: String) async throws -> HTTPReply {
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        guard case .rejected(let reply) = await server.authenticate(request) else { throw OAuthError("accepted", "the token was accepted") }
        return reply
    }

    @Test("the value that was found, the one that was expected, and the setting, in one line")
    func lines() async throws {
        _ = try await send(mint.token(audience: Self.resource, type: "JWT"))
        _ = try await send(mint.token(audience: "api://other"))
        _ = try await send(mint.token(audience: Self.resource, expiresIn: -120))
        let other = try TokenMint(issuer: "https://login.example", clock: time.clock)
        _ = try await send(other.token(audience: Self.resource))
        for text in [
            #"rejected a token of https://login.example/: typ is "JWT", not at+jwt"#, "tokens: .anyJWT",
            #"aud is ["api://other"], expected ["https://rs.example/mcp"]"#, "it expired 120 seconds ago",
            #"iss is "https://login.example", expected "https://login.example/""#,
        ] { #expect(lines.text.contains(text), "\(text) is not in \(lines.text)") }
    }

    @Test("each reason is logged once a minute, and the client's answer stays vague")
    func quiet() async throws {
        for _ in 0..<20 { _ = try await send(mint.token(audience: "api://other")) }
        #expect(lines.count == 1)
        time.advance(by: 61)
        let reply = try await send(mint.token(audience: "api://other"))
        #expect(lines.count == 2)
        let challenge = reply.response.headerFields[.wwwAuthenticate] ?? ""
        #expect(!challenge.contains("aud") && !String(decoding: reply.body, as: UTF8.self).contains("api://other"))
    }

    @Test("L-05: tokens of unrelated issuers write no line, and no value of a token can break one")
    func hostile() async throws {
        let stranger = try TokenMint(issuer: "https://evil.example", clock: time.clock)
        _ = try await send(stranger.token(audience: Self.resource))
        #expect(lines.count == 0)
        _ = try await send(mint.token(audience: "x\n2026-01-01 notice: all is well\u{202E}\"\u{1B}[31m"))
        #expect(lines.count == 1)
        #expect(!lines.text.contains("\n2026") && !lines.text.contains("\u{1B}") && !lines.text.contains("\u{202E}"))
        #expect(lines.text.contains("unverified"))
    }
}

/// Keeps what is logged at notice or above.
final class Lines: LogHandler {
    private let stored = Mutex<[String]>([])
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .notice }
        set {}
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) { stored.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") } }

    var count: Int { stored.withLock { $0.count } }
    var text: String { stored.withLock { $0.joined(separator: " | ") } }
}

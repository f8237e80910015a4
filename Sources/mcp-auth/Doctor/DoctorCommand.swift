import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthClient
import MCPAuthHTTPClient
import OAuth

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find out why clients cannot sign in to a server.",
        discussion: """
            Looks at a server from outside: challenge, metadata, issuer,
            registration, keys, forged tokens, authorization requests that must be
            refused, pages, CORS, clocks. With tokens of mcp-auth login, also from
            inside. With --sign-in, you sign in once more for it, and it looks at
            renewal, sessions and revocation too.

            It registers a client and deletes it again, revokes its own tokens, and
            guesses no passwords. Only --active sends more requests than a client
            would.

            With --issuer it reads the metadata and the keys of an authorization
            server only. HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE are used.

            EXAMPLES
              mcp-auth doctor https://mcp.example.com/mcp
              mcp-auth doctor https://mcp.example.com/mcp --client cursor
              mcp-auth doctor https://mcp.example.com/mcp --sign-in
              mcp-auth doctor --issuer https://id.example.com --json

            EXIT CODES
              0 nothing but notes, 1 warnings, 65 errors, 69 the server cannot be
              reached, 70 anyone can get in or a user can be attacked
            """)

    @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
    var url: String?

    @Option(help: ArgumentHelp("Examine this authorization server instead: the exact issuer, as tokens name it.", valueName: "url"))
    var issuer: String?

    @Option(
        help: ArgumentHelp(
            "Register as this client does: \(DeploymentExamination.ClientProfile.all.map(\.name).joined(separator: ", ")).", valueName: "name"),
        completion: .list(DeploymentExamination.ClientProfile.all.map(\.name)))
    var client = "native"

    @Flag(help: "Sign in for this examination, and look from inside with tokens that are revoked at the end.")
    var signIn = false

    @Flag(help: "Also look for limits, with \(DeploymentExamination.requestsUnderLoad) wrong requests to each endpoint. Only at your own servers.")
    var active = false

    @Option(help: ArgumentHelp("With --sign-in: the command that opens a browser. none prints the address.", valueName: "command"))
    var browser: String?

    @Flag(help: "Register no client.")
    var noRegistration = false

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Also reach private networks, for a server on an intranet.")
    var allowPrivateNetworks = false

    @Option(help: ArgumentHelp("keychain, or a folder.", valueName: "store"))
    var tokenStore: String?

    func validate() throws {
        guard (url != nil) != (issuer != nil) else { throw ValidationError("name a server, or an authorization server with --issuer") }
    }

    func run() async throws {
        if let issuer { return try await examineIssuer(issuer) }
        let names = DeploymentExamination.ClientProfile.all.map(\.name)
        guard let profile = DeploymentExamination.ClientProfile.all.first(where: { $0.name == client }) else {
            throw Console.failure(
                OAuthError(
                    .invalidRequest, "--client is one of \(names.joined(separator: ", "))\(NearestName.hint(client, among: names))"))
        }
        let server: ResourceIdentifier
        let fetcher: GuardedHTTPClient
        let credentials: Credentials?
        do {
            // A doctor looks at http too, and says what is wrong with it.
            server = try ServerURL.resource(url ?? "", insecureAllowHTTP: true)
            var policy = await OutboundPolicy.zone(of: server.url)
            if allowPrivateNetworks { policy.allowPrivateNetworks = true }
            policy.insecureAllowHTTP = policy.insecureAllowHTTP || !server.url.isSecure
            fetcher = try .environment(ProcessInfo.processInfo.environment, policy: policy, explainsFailures: true)
            credentials = try await Self.credentials(for: server, tokenStore)
        } catch { throw ClientFailure.exit(error) }
        let session = signIn ? try Self.session(for: server, browser, fetcher) : nil
        let began = Clock.system.now
        let examination = await DeploymentExamination.examine(
            server, as: profile, credentials: credentials, spending: session, registers: !noRegistration, loads: active, with: fetcher)
        await fetcher.shutdown()
        let isUnreachable = examination.findings.contains { $0.code == "server_unreachable" }
        if json {
            report(examination)
        } else {
            show(
                examination, isComplete: credentials != nil || signIn || examination.issuer?.metadata == nil, since: began,
                isUnreachable: isUnreachable)
        }
        if isUnreachable { throw ExitCode(69) }
        switch examination.findings.first?.severity {
        case .critical: throw ExitCode(70)
        case .error: throw ExitCode(65)
        case .warning: throw ExitCode(1)
        case .note, nil: break
        }
    }

    /// A sign-in for the examination alone. Its tokens are in memory.
    private static func session(
        for server: ResourceIdentifier, _ browser: String?, _ client: GuardedHTTPClient
    ) throws -> AuthorizedSession {
        do {
            let agent = TerminalUserAgent(
                host: nil, port: 0, browser: browser ?? ProcessInfo.processInfo.environment["MCP_AUTH_BROWSER"], isQuiet: false)
            return try AuthorizedSession(
                for: server.text, configuration: ClientConfiguration(name: "mcp-auth doctor", grant: .authorizationCode(agent)),
                store: MemoryTokenStore(), fetcher: client, exchange: client)
        } catch { throw ClientFailure.exit(error, server: server.text) }
    }

    /// Tokens of an earlier sign-in that are still valid. A folder that does not exist is not created for this.
    private static func credentials(for server: ResourceIdentifier, _ choice: String?) async throws(OAuthError) -> Credentials? {
        guard choice != nil || FileManager.default.fileExists(atPath: ClientSettings.standardFolder) else { return nil }
        return try await ClientSettings.store(choice).credentials().first {
            $0.server.utf8.elementsEqual(server.text.utf8) && $0.isFresh(at: Clock.system.now, margin: 10)
        }
    }

    // MARK: A deployment

    private func report(_ examination: DeploymentExamination) {
        let object: JSONObject = [
            "server": .string(examination.server.text), "client": .string(examination.profile.name), "usable": .bool(examination.isUsable),
            "findings": .array(
                examination.findings.map { finding in
                    var member: JSONObject = [
                        "code": .string(finding.code), "severity": .string(finding.severity.rawValue), "problem": .string(finding.problem),
                        "effect": .string(finding.effect), "remedy": .string(finding.remedy),
                    ]
                    member["clause"] = finding.clause.map { .string($0) }
                    return .object(member)
                }),
            "checklist": .array(
                examination.checklist.map { ["code": .string($0.code), "title": .string($0.title), "verdict": .string($0.verdict.rawValue)] }),
        ]
        Console.output(JSONValue.object(object).text)
    }

    private func show(_ examination: DeploymentExamination, isComplete: Bool, since began: NumericDate, isUnreachable: Bool) {
        Console.output(Console.bold(examination.server.text, on: .output))
        Console.output(Console.wrapped("Looked at: \(examination.steps.map(Console.printable).joined(separator: "; "))."))
        if !isComplete { Console.output("From outside only. To look from inside too: mcp-auth doctor \(examination.server) --sign-in") }
        for finding in examination.findings {
            Self.show(finding.severity, finding.code, finding.clause, [finding.problem, finding.effect, finding.remedy])
        }
        if !examination.checklist.isEmpty { Console.output("\nChecklist (? cannot be seen from outside):") }
        for point in examination.checklist {
            let mark =
                switch point.verdict {
                case .met: "yes"
                case .notMet: Console.bold("NO ", on: .output)
                case .notVisible: "?  "
                }
            Console.output("  \(mark)  \(point.title)")
        }
        Console.output("")
        Self.showCounts(examination.findings.map(\.severity))
        if !isUnreachable {
            // An operator has to be able to tell these requests from an attack.
            Console.note(
                Console.wrapped(
                    "If the server keeps an audit log: it was asked, also with wrong tokens, between \(began.iso8601) and \(Clock.system.now.iso8601)."
                ))
        }
    }

    /// A finding, below an empty line.
    private static func show(_ severity: DeploymentExamination.Finding.Severity, _ code: String, _ clause: String?, _ lines: [String]) {
        let label = severity < .warning ? Console.bold(severity.rawValue, on: .output) : severity.rawValue
        Console.output("\n\(label)  \(code)\(clause.map { "  (\($0))" } ?? "")")
        for line in lines { Console.output(Console.wrapped(Console.printable(sentence(line)), indent: 2)) }
    }

    private static func showCounts(_ severities: [DeploymentExamination.Finding.Severity]) {
        let words = DeploymentExamination.Finding.Severity.allCases.compactMap { severity -> String? in
            let count = severities.count { $0 == severity }
            return count == 0 ? nil : "\(count) \(severity.rawValue)\(count == 1 || severity == .critical ? "" : "s")"
        }
        Console.output(words.isEmpty ? "No problems were found." : "Found: \(words.joined(separator: ", ")).")
    }

    /// With a full stop, and with a capital letter unless it begins with the name of a parameter.
    private static func sentence(_ text: String) -> String {
        let text = text.last.map { ".?!".contains($0) } ?? true ? text : text + "."
        return text.prefix { $0 != " " }.contains("_") ? text : text.prefix(1).uppercased() + text.dropFirst()
    }

    // MARK: An authorization server

    private typealias Severity = DeploymentExamination.Finding.Severity

    private func examineIssuer(_ text: String) async throws {
        let issuer: Issuer
        do throws(OAuthError) { issuer = try Issuer(text) } catch { throw Console.failure(error) }
        let policy = OutboundPolicy(
            insecureAllowHTTP: issuer.url.isLoopback, allowsLoopback: issuer.url.isLoopback, allowPrivateNetworks: allowPrivateNetworks)
        let client: GuardedHTTPClient
        do throws(OAuthError) { client = try .environment(ProcessInfo.processInfo.environment, policy: policy, explainsFailures: true) } catch {
            throw Console.failure(error)
        }
        let examination = await IssuerExamination.examine(issuer, with: client)
        await client.shutdown()
        if json { report(examination) } else { show(examination) }
        if examination.isUnreachable { throw ExitCode(69) }
        if !examination.isUsable { throw ExitCode(65) }
        if !examination.findings.isEmpty { throw ExitCode(1) }
    }

    private func report(_ examination: IssuerExamination) {
        var object: JSONObject = [
            "issuer": .string(examination.issuer.text), "usable": .bool(examination.isUsable),
            "attempts": .array(examination.attempts.map { ["url": .string($0.url), "result": .string($0.result)] }),
            "findings": .array(
                examination.findings.map { finding in
                    var member: JSONObject = [
                        "code": .string(finding.code), "severity": .string(finding.severity.rawValue), "message": .string(finding.message),
                    ]
                    member["clause"] = finding.clause.map { .string($0) }
                    return .object(member)
                }),
        ]
        object["keys"] = examination.keyCount.map { .int($0) }
        Console.output(JSONValue.object(object).text)
    }

    private func show(_ examination: IssuerExamination) {
        Console.output(Console.bold(examination.issuer.text, on: .output))
        for attempt in examination.attempts { Console.output("  \(attempt.url)\n" + Console.wrapped(Console.printable(attempt.result), indent: 4)) }
        if let count = examination.keyCount { Console.output("  \(count) usable \(count == 1 ? "key" : "keys")") }
        let findings = examination.findings.map { (severity: $0.severity == .error ? Severity.error : .warning, finding: $0) }
        for (severity, finding) in findings { Self.show(severity, finding.code, finding.clause, [finding.message]) }
        Console.output("")
        Self.showCounts(findings.map(\.severity))
    }
}

import ArgumentParser
import Foundation
import JOSE
import MCPAuthHTTPClient
import OAuth

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find out why an authorization server does not work with MCP clients.",
        discussion: """
            Reads the metadata of the issuer and its key set, and says what MCP clients
            and resource servers will miss. It registers nothing and signs no user in.
            Each finding has a stable code. Exit code 0: usable. 65: there is an error.
            HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE are used.

            EXAMPLES
              mcp-auth doctor --issuer https://id.example.com
              mcp-auth doctor --issuer http://127.0.0.1:8000 --json
            """)

    @Option(help: ArgumentHelp("The exact issuer, as tokens name it.", valueName: "url"))
    var issuer: String

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Also reach private networks, for a provider on an intranet.")
    var allowPrivateNetworks = false

    func run() async throws {
        let issuer: Issuer
        do throws(OAuthError) { issuer = try Issuer(self.issuer) } catch { throw Console.failure(error) }
        let policy = OutboundPolicy(
            insecureAllowHTTP: issuer.url.isLoopback, allowsLoopback: issuer.url.isLoopback, allowPrivateNetworks: allowPrivateNetworks)
        let client: GuardedHTTPClient
        do throws(OAuthError) { client = try .environment(ProcessInfo.processInfo.environment, policy: policy) } catch {
            throw Console.failure(error)
        }
        let examination = await IssuerExamination.examine(issuer, with: client)
        await client.shutdown()
        if json { report(examination) } else { show(examination) }
        if !examination.isUsable { throw ExitCode(65) }
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
        Console.output("\(Console.bold(examination.issuer.text, on: .output))\n")
        for attempt in examination.attempts { Console.output("  \(attempt.url)\n    \(Console.printable(attempt.result))") }
        if let count = examination.keyCount { Console.output("  \(count) usable \(count == 1 ? "key" : "keys")") }
        Console.output("")
        for finding in examination.findings {
            let label = finding.severity == .error ? Console.bold("error  ", on: .output) : "warning"
            Console.output("\(label)  \(finding.code)\(finding.clause.map { "  (\($0))" } ?? "")\n         \(Console.printable(finding.message))")
        }
        let errors = examination.findings.count { $0.severity == .error }
        Console.output(errors == 0 ? "Usable." : "\(errors) \(errors == 1 ? "error" : "errors").")
    }
}

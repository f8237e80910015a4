import ArgumentParser
import Foundation
import IdentityProviders
import JOSE
import OAuth

struct ProvidersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "providers",
        abstract: "Show the identity providers that are known by name.",
        discussion: """
            Without an argument, the list. With the identifier of a provider: its
            variables, what to click in its console, and what it cannot do.

            EXAMPLES
              mcp-auth providers
              mcp-auth providers github
            """)

    @Argument(help: ArgumentHelp("The identifier of a provider, such as github.", valueName: "id"))
    var id: String?

    @Option(help: ArgumentHelp("The URL of your authorization server, for the redirect URI.", valueName: "url"))
    var issuer = "https://mcp.example.com"

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: .hidden)
    var markdown = false

    func run() throws {
        if markdown {
            print(CatalogDocument.markdown, terminator: "")
            return
        }
        guard let id else { return list() }
        guard let entry = Catalog.entry(id) else {
            throw Console.failure(
                OAuthError(
                    .invalidRequest, "there is no provider \(id)\(NearestName.hint(id, among: Catalog.entries.map(\.id))); see mcp-auth providers"))
        }
        try show(entry)
    }

    private func list() {
        if json {
            print(JSONValue.array(Catalog.entries.map { ["id": .string($0.id), "name": .string($0.name), "uses": .strings(uses($0))] }).text)
            return
        }
        let width = Catalog.entries.map(\.id.count).max() ?? 0
        let names = Catalog.entries.map(\.name.count).max() ?? 0
        for entry in Catalog.entries.sorted(by: { $0.id < $1.id }) {
            let id = entry.id.padding(toLength: width + 2, withPad: " ", startingAt: 0)
            let name = entry.name.padding(toLength: names + 2, withPad: " ", startingAt: 0)
            print(id + name + uses(entry).joined(separator: ", "))
        }
        print(
            """

            sign-in: users sign in through it at your authorization server.
            tokens: your MCP server can accept its tokens.
            """)
    }

    private func uses(_ entry: CatalogEntry) -> [String] {
        guard let provider = try? entry.example() else { return [] }
        return (provider.signIn == nil ? [] : ["sign-in"]) + (provider.accessTokens.format == .opaque ? [] : ["tokens"])
    }

    private func show(_ entry: CatalogEntry) throws {
        let callback = "\(issuer)/sign-in/callback/\(entry.id)"
        let canSignIn = (try? entry.example())?.signIn != nil
        let credentials = canSignIn ? [entry.variable("client-id"), entry.variable("client-secret")] : []
        if json {
            print(
                JSONValue.object([
                    "id": .string(entry.id), "name": .string(entry.name), "sign_in": .bool(canSignIn), "redirect_uri": .string(callback),
                    "variables": .strings(entry.settings.map { entry.variable($0.name) } + credentials),
                    "steps": .strings(entry.steps.map { $0.replacing("{callback}", with: callback) }), "notes": .strings(entry.notes),
                ]).text)
            return
        }
        print(Console.bold(entry.name, on: .output))
        if canSignIn { print("\nRedirect URI\n  \(callback)") }
        print("\nVariables")
        for setting in entry.settings {
            let example = setting.defaultValue.flatMap { $0.isEmpty ? nil : "Default: \($0)" } ?? "Example: \(setting.example)"
            print(Console.item("  \(entry.variable(setting.name))  ", "\(setting.meaning) \(example)"))
        }
        for name in credentials { print("  \(name)") }
        print("\nSteps")
        for (index, step) in entry.steps.enumerated() { print(Console.item("  \(index + 1). ", step.replacing("{callback}", with: callback))) }
        if !entry.notes.isEmpty { print("\nNotes") }
        for note in entry.notes { print(Console.item("  - ", note)) }
    }
}

import Foundation
import IdentityProviders
import JOSE
import OAuth
import Testing

@Suite("The catalog of identity providers")
struct CatalogTests {
    @Test("every entry makes a valid provider from its own examples", arguments: Catalog.entries.map(\.id))
    func examples(_ id: String) throws {
        let entry = try #require(Catalog.entry(id))
        let provider = try entry.example()
        #expect(provider.id == id)
        #expect(!provider.name.isEmpty && provider.mark.colour.utf8.count == 7)
        #expect(entry.steps.isEmpty == false)
        if provider.signIn != nil { #expect(entry.steps.contains { $0.contains("{callback}") }, "the steps name the redirect URI") }
    }

    @Test("identifiers are unique")
    func unique() { #expect(Set(Catalog.entries.map(\.id)).count == Catalog.entries.count) }

    @Test("a setting that is missing is named, with an example")
    func missing() {
        let error = #expect(throws: OAuthError.self) { try Catalog.entry("auth0")?.provider([:]) }
        #expect(error?.message.contains("domain, such as acme.eu.auth0.com") == true)
    }

    @Test("a host with a path or a space makes no provider")
    func hosts() {
        for host in ["a b", "a\"b", ""] {
            #expect(throws: OAuthError.self) { try Catalog.entry("auth0")?.provider(["domain": host]) }
        }
    }
}

@Suite("The documentation of the catalog")
struct CatalogDocumentTests {
    @Test("docs/providers.md is what the data says; to renew it: mcp-auth providers --markdown > docs/providers.md")
    func current() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "docs/providers.md"), encoding: .utf8)
        #expect(text == CatalogDocument.markdown)
    }

    @Test("every provider has a section with its redirect URI or the reason why there is none")
    func sections() {
        for entry in Catalog.entries { #expect(CatalogDocument.markdown.contains("\n## \(entry.name)\n"), "\(entry.id)") }
    }
}

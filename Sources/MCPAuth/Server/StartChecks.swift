import HTTPTypes
import JOSE
package import OAuth

/// Checks for configurations that would otherwise show as rejected requests.
extension ResourceServer {
    /// Throws `invalid_configuration` when an authorization server of this process does not issue tokens for this
    /// resource.
    func checkResource() throws(OAuthError) {
        for local in localIssuers where !local.resources.contains(where: { $0.utf8.elementsEqual(resource.text.utf8) }) {
            throw OAuthError(
                .invalidConfiguration,
                "the resource server is \(resource), but the authorization server \(local.issuer) issues tokens for "
                    + "\(local.resources.joined(separator: ", ")). Use the same URL in ResourceServer and ProtectedResource")
        }
    }

    /// Throws `invalid_configuration` when an operation requires a scope that no token can have: the authorization
    /// server of this process does not list it among the scopes of the resource, and no listed scope implies it. Not
    /// checked if other issuers are trusted too.
    ///
    /// - Parameter requirements: The scopes, and the operation that requires them, for the message.
    package func check(_ requirements: [(what: String, requirement: Requirement)]) throws(OAuthError) {
        guard !hasOtherIssuers, !localIssuers.isEmpty else { return }
        let known = localIssuers.reduce(into: ScopeSet()) { $0 = $0.union($1.scopes(resource.text)) }
        let reachable = policy.effective(known)
        for (what, requirement) in requirements {
            let unknown = requirement.scopes.subtracting(reachable)
            guard let scope = unknown.first(where: { _ in true }) else { continue }
            let names = known.map(\.text)
            throw OAuthError(
                .invalidConfiguration,
                "\(what) requires the scope \(scope.text), which \(resource) does not have\(NearestName.hint(scope.text, among: names)). "
                    + "Its scopes are: \(names.joined(separator: ", ")). Correct the name, or add it to the scopes of ProtectedResource")
        }
    }

    /// Throws `invalid_configuration` when no application serves an authorization server of this process, so that no
    /// user could sign in.
    package func checkLocalIssuersAreServed() throws(OAuthError) {
        for local in localIssuers where !local.isServed() {
            throw OAuthError(
                .invalidConfiguration,
                "tokens of \(local.issuer) are trusted, but nothing serves that authorization server. Pass it to run: authorizationServer: issuer. "
                    + "If another application of this process serves it, make that one first")
        }
    }

    /// Fetches the metadata of every trusted issuer that uses discovery. Returns one sentence for each problem, with
    /// the line to write. Empty when there is none. Until an issuer can be reached, its tokens are answered with 503.
    package func findingsOfIssuers() async -> [String] {
        guard let fetcher else { return [] }
        var findings: [String] = []
        for (issuer, location) in discoveredIssuers {
            // What generated programs and the guides have in place of a name.
            if let placeholder = issuer.text.firstMatch(of: /YOUR-[A-Z-]*[A-Z]/) {
                findings.append("the issuer \(issuer) is not set yet: replace \(placeholder.0), and the audience with it")
                continue
            }
            do throws(OAuthError) {
                // One URL shows whether the issuer can be reached at all. A problem there is a problem at the other
                // URLs too.
                if let url = issuer.metadataURLs.first.flatMap(WebURL.init) { _ = try await fetcher.fetch(OutboundRequest(.get, url)) }
                let metadata = try await AuthorizationServerMetadata.discover(issuer, at: location, with: fetcher)
                if metadata.jwksURI == nil { findings.append("the metadata of \(issuer) has no jwks_uri, so its tokens cannot be verified") }
            } catch {
                if let other = await otherName(of: issuer, fetcher) {
                    findings.append(
                        "the issuer \(issuer) calls itself \(other). The two must be equal byte for byte: write \(other), in code trusting: .issuer(\"\(other)\")"
                    )
                } else {
                    findings.append(
                        "the issuer \(issuer) cannot be used: \(error.message)\(error.message.hasSuffix("?") ? "" : ".") Until it can be, its tokens are "
                            + "answered with 503")
                }
            }
        }
        return findings
    }

    /// The issuer that the metadata at an issuer's URLs names, if it is another one.
    private func otherName(of issuer: Issuer, _ fetcher: any HTTPFetcher) async -> String? {
        for url in issuer.metadataURLs.compactMap(WebURL.init) {
            guard let reply = try? await fetcher.fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"])),
                reply.response.status == .ok,
                let name = (try? JSONValue(parsing: reply.body))?["issuer"]?.string, WebURL(name) != nil,
                !name.utf8.elementsEqual(issuer.text.utf8)
            else { continue }
            return HTTPReply.printable(name)
        }
        return nil
    }
}

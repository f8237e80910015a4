public import JOSE
import OAuth

/// Whether the `client_id` may be the URL of a document about the client (Client ID Metadata Documents).
public enum ClientMetadataDocumentPolicy: Sendable, Hashable {
    /// Such clients are rejected.
    case off
    /// Documents on every domain. The consent page names the domain.
    case anyDomain
    /// Documents on these domains and their subdomains, such as `example.com`, ignoring case.
    case domains([String])

    /// Compares whole labels: `example.com` allows neither `evil-example.com` nor `example.com.evil.org`.
    func allows(_ url: WebURL) -> Bool {
        switch self {
        case .off: return false
        case .anyDomain: return true
        case .domains(let domains):
            let host = Array(url.host.utf8.map(URLBytes.lowercased))
            return domains.contains { domain in
                let domain = Array(domain.utf8.map(URLBytes.lowercased))
                return !domain.isEmpty && (host == domain || host.reversed().starts(with: (Array(".".utf8) + domain).reversed()))
            }
        }
    }
}

/// An issuer whose software statements are trusted in client registrations (RFC 7591 §2.3).
public struct SoftwareStatementIssuer: Sendable {
    /// The exact `iss` of its statements.
    public let issuer: String
    /// The keys that verify them. Symmetric keys are not accepted.
    public let keys: [VerificationKey]

    /// An issuer with fixed keys, which are never fetched.
    public init(issuer: String, keys: [VerificationKey]) {
        self.issuer = issuer
        self.keys = keys
    }
}

/// A resource server that may exchange the tokens of its users for tokens of other resources (RFC 8693).
public struct TokenExchangeRule: Sendable, Hashable {
    /// The resource whose tokens may be exchanged, by a configured client that may introspect them.
    public let from: String
    /// The resources for which tokens are issued.
    public let to: [String]

    /// Identifiers of resources, compared byte for byte. Nothing is checked.
    public init(from: String, to: [String]) {
        self.from = from
        self.to = to
    }
}

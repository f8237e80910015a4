public import JOSE
import OAuth

/// Whether the identifier of a client may be the address of a document about it (Client ID Metadata Documents).
public enum ClientMetadataDocumentPolicy: Sendable, Hashable {
    case off
    /// Of any domain. People still see which one on the consent page.
    case anyDomain
    /// Of these domains and what is below them, such as `example.com`.
    case domains([String])

    /// Whole labels count: `example.com` does not allow `evil-example.com`, nor `example.com.evil.org`.
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

/// Whose word counts about software that registers itself (RFC 7591 §2.3).
public struct SoftwareStatementIssuer: Sendable {
    /// The exact `iss` of its statements.
    public let issuer: String
    /// The keys that sign them.
    public let keys: [VerificationKey]

    public init(issuer: String, keys: [VerificationKey]) {
        self.issuer = issuer
        self.keys = keys
    }
}

/// Which resource server may call on with a token of its own users (RFC 8693).
public struct TokenExchangeRule: Sendable, Hashable {
    /// The resource whose tokens may be exchanged, by a client that is registered to introspect them.
    public let from: String
    /// The resources for which tokens are given.
    public let to: [String]

    public init(from: String, to: [String]) {
        self.from = from
        self.to = to
    }
}

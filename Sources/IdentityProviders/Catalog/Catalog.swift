public import OAuth

/// A provider of the catalog: how it is made from settings, and what an operator has to know. The documentation and the
/// command line are generated from these entries.
public struct CatalogEntry: Sendable {
    /// The identifier, such as `github`.
    public let id: String
    /// The name, such as `GitHub`.
    public let name: String
    /// The settings beside the client's credentials.
    public let settings: [Setting]
    /// The steps in the provider's console, in order. `{callback}` stands for the redirect URI.
    public let steps: [String]
    /// What the provider cannot do, or does differently, for operators.
    public let notes: [String]
    /// The support of the provider for MCP clients that talk to it directly.
    public let asAuthorizationServer: AuthorizationServerSupport
    /// The facts in the data, with their sources.
    public let facts: [Fact]
    private let make: @Sendable ([String: String]) throws(OAuthError) -> IdentityProvider

    /// A setting of a provider.
    public struct Setting: Sendable, Hashable {
        /// The name, such as `domain`.
        public let name: String
        /// An example, such as `acme.eu.auth0.com`.
        public let example: String
        /// What it is, and where it is found.
        public let meaning: String
        /// The value if it is not set. Nil: the setting is required.
        public let defaultValue: String?

        init(_ name: String, _ example: String, _ meaning: String, default defaultValue: String? = nil) {
            self.name = name
            self.example = example
            self.meaning = meaning
            self.defaultValue = defaultValue
        }
    }

    /// A fact of the data.
    public struct Fact: Sendable, Hashable {
        /// The fact.
        public let text: String
        /// Where it was found: projects and documents, with the version that was read.
        public let sources: [String]

        init(_ text: String, _ sources: String...) {
            self.text = text
            self.sources = sources
        }
    }

    /// Whether something is supported, as the provider's sources say.
    public enum Support: String, Sendable, Hashable {
        case yes, no
        /// Depending on version, plan or setting.
        case depends
        /// Not found in the sources.
        case unknown
    }

    /// The support for MCP clients that talk to the provider directly.
    public struct AuthorizationServerSupport: Sendable, Hashable {
        /// Metadata: `OAuth` (RFC 8414), `OpenID`, or both.
        public let metadata: String
        /// Dynamic registration (RFC 7591).
        public let registration: Support
        /// Client ID metadata documents.
        public let clientDocuments: Support
        /// Resource indicators (RFC 8707).
        public let resourceIndicators: Support

        init(_ metadata: String, registration: Support, documents: Support, resources: Support) {
            self.metadata = metadata
            self.registration = registration
            clientDocuments = documents
            resourceIndicators = resources
        }
    }

    init(
        _ id: String, _ name: String, settings: [Setting] = [], steps: [String], notes: [String] = [], server: AuthorizationServerSupport,
        facts: [Fact], _ make: @escaping @Sendable ([String: String]) throws(OAuthError) -> IdentityProvider
    ) {
        self.id = id
        self.name = name
        self.settings = settings
        self.steps = steps
        self.notes = notes
        asAuthorizationServer = server
        self.facts = facts
        self.make = make
    }

    /// The provider with these settings. Throws `invalid_configuration` that names a missing setting.
    public func provider(_ values: [String: String]) throws(OAuthError) -> IdentityProvider {
        var complete = values
        for setting in settings where (values[setting.name] ?? "").isEmpty {
            guard let defaultValue = setting.defaultValue else {
                throw OAuthError(.invalidConfiguration, "\(name) needs \(setting.name), such as \(setting.example): \(setting.meaning)")
            }
            complete[setting.name] = defaultValue
        }
        let provider = try make(complete)
        try provider.check()
        return provider
    }

    /// The provider with the examples as settings.
    public func example() throws(OAuthError) -> IdentityProvider {
        try provider(Dictionary(settings.map { ($0.name, $0.example) }, uniquingKeysWith: { first, _ in first }))
    }

    /// The environment variable of a setting, such as `AUTH0_DOMAIN`.
    public func variable(_ setting: String) -> String {
        (id + "_" + setting).uppercased().replacing("-", with: "_")
    }
}

/// Every provider that is known by name.
public enum Catalog {
    /// The entries, ordered by name.
    public static let entries: [CatalogEntry] =
        (hosted + enterprise + social + selfHosted).sorted { $0.name.lowercased() < $1.name.lowercased() }

    /// The entry with this identifier.
    public static func entry(_ id: String) -> CatalogEntry? { entries.first { $0.id == id } }
}

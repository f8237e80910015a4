import HTTPTypes
public import JOSE

/// The examination of an authorization server by its metadata: what MCP clients and resource servers need, and what is
/// missing. Each finding has a stable code.
public struct IssuerExamination: Sendable {
    /// A finding.
    public struct Finding: Sendable, Hashable {
        /// The weight of a finding.
        public enum Severity: String, Sendable, Hashable {
            /// MCP clients cannot sign in, or tokens cannot be verified.
            case error
            /// Some clients cannot sign in, or a protection is missing.
            case warning
        }

        /// The stable code, such as `issuer_mismatch`.
        public let code: String
        /// The weight.
        public let severity: Severity
        /// What was found, and what to do.
        public let message: String
        /// The clause that demands it, such as `RFC 8414 §3.3`. Nil: none does.
        public let clause: String?
    }

    /// A URL that was tried, and its result in words.
    public struct Attempt: Sendable, Hashable {
        /// The URL.
        public let url: String
        /// The result.
        public let result: String
        /// Whether a server answered, with or without a document.
        public let isAnswered: Bool
    }

    /// The issuer that was examined.
    public let issuer: Issuer
    /// The URLs of metadata documents that were tried, in the order of RFC 8414 and OpenID Connect Discovery.
    public private(set) var attempts: [Attempt] = []
    /// The metadata that was found first. Nil: none can be used.
    public private(set) var metadata: AuthorizationServerMetadata?
    /// The findings, errors first.
    public private(set) var findings: [Finding] = []
    /// The number of usable keys of the key set. Nil: it was not read.
    public private(set) var keyCount: Int?

    /// Whether no URL was answered: the name, the address, the port or the certificate is wrong, or the server is down.
    public var isUnreachable: Bool { !attempts.isEmpty && !attempts.contains(where: \.isAnswered) }

    /// Whether there is no error.
    public var isUsable: Bool { !findings.contains { $0.severity == .error } }

    /// Fetches the documents of an issuer and examines them. It registers nothing and signs no user in.
    public static func examine(_ issuer: Issuer, with fetcher: any HTTPFetcher) async -> IssuerExamination {
        var examination = IssuerExamination(issuer: issuer)
        await examination.findDocument(fetcher)
        if let metadata = examination.metadata {
            examination.check(metadata)
            await examination.checkKeys(metadata, fetcher)
        }
        examination.findings.sort { ($0.severity == .error ? 0 : 1) < ($1.severity == .error ? 0 : 1) }
        return examination
    }

    private init(issuer: Issuer) { self.issuer = issuer }

    private mutating func error(_ code: String, _ message: String, _ clause: String? = nil) {
        findings.append(Finding(code: code, severity: .error, message: message, clause: clause))
    }

    private mutating func warning(_ code: String, _ message: String, _ clause: String? = nil) {
        findings.append(Finding(code: code, severity: .warning, message: message, clause: clause))
    }

    private mutating func findDocument(_ fetcher: any HTTPFetcher) async {
        var otherIssuer: String?
        var hasOAuthDocument = false
        for text in issuer.metadataURLs {
            guard let url = WebURL(text) else { continue }
            let reply: HTTPReply
            do throws(OAuthError) { reply = try await fetcher.fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"])) } catch {
                attempts.append(Attempt(url: text, result: error.message, isAnswered: false))
                continue
            }
            guard reply.response.status == .ok else {
                let location = reply.response.headerFields[.location].map { " to \($0.prefix(200))" } ?? ""
                attempts.append(Attempt(url: text, result: "answers \(reply.response.status.code)\(location)", isAnswered: true))
                continue
            }
            do throws(OAuthError) {
                let found = try AuthorizationServerMetadata(parsing: reply.body, expected: issuer)
                attempts.append(Attempt(url: text, result: "metadata of this issuer", isAnswered: true))
                hasOAuthDocument = hasOAuthDocument || text.contains("oauth-authorization-server")
                if metadata == nil { metadata = found }
            } catch {
                attempts.append(Attempt(url: text, result: error.message, isAnswered: true))
                if let stated = (try? JSONValue(parsing: reply.body))?["issuer"]?.string { otherIssuer = otherIssuer ?? stated }
            }
        }
        if metadata != nil {
            if !hasOAuthDocument {
                warning(
                    "oauth_document_missing",
                    "there is an OpenID document only; MCP clients of before 2025-11-25 look for \(issuer.metadataURLs.first ?? "the OAuth document") alone",
                    "RFC 8414 §3")
            }
            return
        }
        if let otherIssuer {
            error(
                "issuer_mismatch",
                "the metadata names the issuer \(otherIssuer.prefix(200)), which is not byte for byte \(issuer); configure exactly that one, also its trailing slash",
                "RFC 8414 §3.3")
        } else {
            var results: [String] = []
            for attempt in attempts where !results.contains(attempt.result) { results.append(attempt.result) }
            let reasons = results.prefix(3).joined(separator: "; ")
            if isUnreachable {
                error("metadata_not_found", "the authorization server \(issuer) cannot be reached: \(reasons)", "RFC 8414 §3")
            } else {
                error(
                    "metadata_not_found",
                    "none of the \(attempts.count) URLs of RFC 8414 has a metadata document of \(issuer) (\(reasons)); check the issuer, also its path",
                    "RFC 8414 §3")
            }
        }
    }

    private mutating func check(_ metadata: AuthorizationServerMetadata) {
        let root = metadata.document.root
        func list(_ name: String) -> [String]? { root[name]?.strings }
        if metadata.authorizationEndpoint == nil { error("authorization_endpoint_missing", "authorization_endpoint is missing", "RFC 8414 §2") }
        if metadata.tokenEndpoint == nil { error("token_endpoint_missing", "token_endpoint is missing", "RFC 8414 §2") }
        for (name, url) in [
            ("authorization_endpoint", metadata.authorizationEndpoint), ("token_endpoint", metadata.tokenEndpoint), ("jwks_uri", metadata.jwksURI),
            ("registration_endpoint", metadata.registrationEndpoint),
        ] {
            if let url, !url.isSecure, !url.isLoopback {
                error("endpoint_not_https", "\(name) is not https: \(url.text.prefix(200))", "OAuth 2.1 §1.5")
            }
        }
        if let types = list("response_types_supported"), !types.contains("code") {
            error("code_response_type_not_supported", "response_types_supported does not contain code", "OAuth 2.1 §4.1")
        }
        if let grants = list("grant_types_supported") {
            if !grants.contains("authorization_code") {
                error("authorization_code_grant_not_supported", "grant_types_supported does not contain authorization_code", "OAuth 2.1 §4.1")
            }
            if !grants.contains("refresh_token") {
                warning(
                    "refresh_token_grant_not_supported",
                    "grant_types_supported does not contain refresh_token; users sign in again when tokens expire")
            }
        }
        if let methods = list("code_challenge_methods_supported") {
            if !methods.contains("S256") {
                error("s256_code_challenge_method_not_supported", "code_challenge_methods_supported does not contain S256", "MCP authorization, PKCE")
            }
        } else {
            error(
                "pkce_not_supported",
                "code_challenge_methods_supported is missing, so MCP clients refuse to sign in. Entra works with PKCE without saying so: sign users in through it instead",
                "MCP authorization, PKCE")
        }
        let registers = metadata.registrationEndpoint != nil
        let takesDocuments = root["client_id_metadata_document_supported"]?.bool == true
        if !registers, !takesDocuments {
            warning(
                "no_client_registration",
                "clients can neither register themselves nor use a metadata document; register each client by hand, or sign users in through this provider with your own authorization server",
                "RFC 7591")
        } else if !registers {
            warning(
                "dynamic_registration_not_supported", "there is no registration_endpoint; clients without a metadata document cannot connect",
                "RFC 7591")
        } else if !takesDocuments {
            warning(
                "client_documents_not_supported", "client_id_metadata_document_supported is not true; clients register themselves instead",
                "Client ID Metadata Documents")
        }
        if registers || takesDocuments, let methods = list("token_endpoint_auth_methods_supported"), !methods.contains("none") {
            warning(
                "public_clients_not_supported",
                "token_endpoint_auth_methods_supported does not contain none; desktop clients without a secret cannot connect",
                "RFC 8252 §8.4")
        }
        if root["authorization_response_iss_parameter_supported"]?.bool != true {
            warning(
                "iss_not_supported", "authorization_response_iss_parameter_supported is not true; clients cannot detect a mix-up of servers",
                "RFC 9207")
        }
    }

    private mutating func checkKeys(_ metadata: AuthorizationServerMetadata, _ fetcher: any HTTPFetcher) async {
        guard let url = metadata.jwksURI else {
            if metadata.introspectionEndpoint != nil {
                warning("jwks_uri_missing", "there is no jwks_uri; tokens have to be introspected", "RFC 8414 §2")
            } else {
                error("jwks_uri_missing", "there is neither jwks_uri nor introspection_endpoint; tokens cannot be verified", "RFC 8414 §2")
            }
            return
        }
        do throws(OAuthError) {
            let reply = try await fetcher.fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"]))
            guard reply.response.status == .ok else {
                error("jwks_not_found", "\(url.text.prefix(200)) answers \(reply.response.status.code)", "RFC 7517 §5")
                return
            }
            guard let keys = try? JWKSet(parsing: reply.body) else {
                error("jwks_unusable", "\(url.text.prefix(200)) is not a JWK set", "RFC 7517 §5")
                return
            }
            keyCount = keys.keys.count
            if keys.keys.isEmpty { error("jwks_unusable", "no key of \(url.text.prefix(200)) can be used", "RFC 7517 §5") }
        } catch { self.error("jwks_not_found", "\(url.text.prefix(200)): \(error.message)", "RFC 7517 §5") }
    }
}

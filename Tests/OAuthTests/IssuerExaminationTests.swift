import HTTPTypes
import JOSE
import OAuth
import Testing

@Suite("Examination of an issuer")
struct IssuerExaminationTests {
    /// Serves documents by URL.
    struct Documents: HTTPFetcher {
        var replies: [String: HTTPReply]
        func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply { replies[request.url.text] ?? HTTPReply(.notFound) }
    }

    static let issuer = "https://id.example.com"
    static let good: JSONObject = [
        "issuer": .string(issuer), "authorization_endpoint": "https://id.example.com/authorize", "token_endpoint": "https://id.example.com/token",
        "jwks_uri": "https://id.example.com/keys", "registration_endpoint": "https://id.example.com/register", "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"], "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": true, "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
    ]

    func examine(at path: String = "/.well-known/oauth-authorization-server", keys: HTTPReply? = nil, _ change: (inout JSONObject) -> Void = { _ in })
        async throws -> IssuerExamination
    {
        var document = Self.good
        change(&document)
        let key = try SigningKey.generate(.es256).verificationKey
        let fetcher = Documents(replies: [
            Self.issuer + path: .json(.object(document)), Self.issuer + "/keys": keys ?? .json(JWKSet([key]).publicDocument),
        ])
        return await IssuerExamination.examine(try Issuer(Self.issuer), with: fetcher)
    }

    @Test("a complete server has no findings")
    func complete() async throws {
        let examination = try await examine()
        #expect(examination.findings.isEmpty && examination.isUsable && examination.keyCount == 1)
    }

    @Test(
        "each lack has its code and its weight",
        arguments: [
            ("authorization_endpoint", nil, "authorization_endpoint_missing", true), ("token_endpoint", nil, "token_endpoint_missing", true),
            ("token_endpoint", "http://id.example.com/token", "endpoint_not_https", true),
            ("response_types_supported", ["token"], "code_response_type_not_supported", true),
            ("grant_types_supported", ["implicit", "refresh_token"], "authorization_code_grant_not_supported", true),
            ("grant_types_supported", ["authorization_code"], "refresh_token_grant_not_supported", false),
            ("code_challenge_methods_supported", ["plain"], "s256_code_challenge_method_not_supported", true),
            ("code_challenge_methods_supported", nil, "pkce_not_supported", true), ("jwks_uri", nil, "jwks_uri_missing", true),
            ("registration_endpoint", nil, "dynamic_registration_not_supported", false),
            ("client_id_metadata_document_supported", nil, "client_documents_not_supported", false),
            ("token_endpoint_auth_methods_supported", ["client_secret_basic"], "public_clients_not_supported", false),
            ("authorization_response_iss_parameter_supported", nil, "iss_not_supported", false),
            ("issuer", "https://id.example.com/", "issuer_mismatch", true),
        ] as [(String, JSONValue?, String, Bool)])
    func lack(_ name: String, _ value: JSONValue?, _ code: String, _ isError: Bool) async throws {
        let examination = try await examine { $0[name] = value }
        #expect(examination.findings.map(\.code) == [code])
        #expect(examination.isUsable == !isError && examination.findings.first?.message.isEmpty == false)
    }

    @Test("neither registration nor documents is one warning; OpenID alone is usable, with one")
    func combined() async throws {
        let closed = try await examine {
            $0["registration_endpoint"] = nil
            $0["client_id_metadata_document_supported"] = nil
        }
        #expect(closed.findings.map(\.code) == ["no_client_registration"])
        let openID = try await examine(at: "/.well-known/openid-configuration")
        #expect(openID.findings.map(\.code) == ["oauth_document_missing"] && openID.isUsable)
        #expect(openID.attempts.first?.result == "answers 404")
    }

    @Test("keys that are not there, or cannot be used, are errors; so is no document at all")
    func keys() async throws {
        #expect(try await examine(keys: HTTPReply(.notFound)).findings.map(\.code) == ["jwks_not_found"])
        #expect(try await examine(keys: HTTPReply(.ok, body: Array("<html>".utf8))).findings.map(\.code) == ["jwks_unusable"])
        #expect(try await examine(keys: .json(["keys": []])).findings.map(\.code) == ["jwks_unusable"])
        let nothing = await IssuerExamination.examine(try Issuer(Self.issuer), with: Documents(replies: [:]))
        #expect(nothing.findings.map(\.code) == ["metadata_not_found"] && !nothing.attempts.isEmpty && !nothing.isUnreachable)
        let away = await IssuerExamination.examine(try Issuer(Self.issuer), with: Away())
        #expect(away.isUnreachable && away.findings.first?.message.contains("id.example.com has no address") == true)
    }
}

/// A network without this name.
private struct Away: HTTPFetcher {
    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        throw OAuthError(.fetchFailed, "the name id.example.com has no address")
    }
}

import HTTPTypes
import JOSE
import OAuth

// The documents by which clients find the authorization server.

extension DeploymentExamination {
    mutating func checkResourceMetadata() async {
        steps.append("the metadata of the server")
        var candidates: [(url: String, isNamed: Bool)] = []
        if let named = challenge?["resource_metadata"] { candidates.append((named, true)) }
        for text in [server.metadataURL, server.url.origin + ResourceIdentifier.metadataRootPath]
        where !candidates.contains(where: { $0.url == text }) {
            candidates.append((text, false))
        }
        var found: (url: WebURL, reply: HTTPReply)?
        for (text, isNamed) in candidates {
            guard let url = WebURL(text), url.isSecure || url.isLoopback else {
                add(
                    .error, "resource_metadata_not_https",
                    "resource_metadata of the challenge is no https URL: \(DisplayText.clean(text, limit: 200))",
                    effect: "Clients refuse to read it. Behind a proxy, the server does not know that it is reached by https.",
                    remedy: "Configure the public URL of the server.", clause: "RFC 9728 §7.7")
                continue
            }
            let reply = await fetch(OutboundRequest(.get, url, fields: [.accept: "application/json", .origin: "https://inspector.example"]))
            if let reply, reply.response.status == .ok {
                found = found ?? (url, reply)
            } else if isNamed {
                add(
                    .error, "resource_metadata_url_dead",
                    "the challenge names \(DisplayText.clean(text, limit: 200)), which answers \(reply.map { "\($0.response.status.code)" } ?? "nothing")",
                    effect: "Clients cannot sign in.", remedy: "Serve the document there; behind a proxy, pass /.well-known/ on to the server.",
                    clause: "RFC 9728 §5.1")
            }
        }
        guard let found else {
            add(
                isProtected ? .error : .note, "resource_metadata_missing", "the server has no metadata (RFC 9728)",
                effect: "Clients since 2025-06-18 cannot find the authorization server; older ones try \(server.url.origin) itself.",
                remedy: "Serve it at \(server.metadataURL).", clause: "RFC 9728 §3")
            return
        }
        checkDocument(found.reply, found.url)
    }

    private mutating func checkDocument(_ reply: HTTPReply, _ url: WebURL) {
        let metadata: ProtectedResourceMetadata
        do throws(OAuthError) { metadata = try ProtectedResourceMetadata(parsing: reply.body) } catch {
            add(
                .error, "resource_metadata_invalid", "\(url.text) is not the metadata of a resource", effect: "Clients cannot sign in.",
                remedy: "It is a JSON object with resource and authorization_servers.", clause: "RFC 9728 §3.2")
            return
        }
        resourceMetadata = metadata
        if reply.response.headerFields[.contentType]?.lowercased().hasPrefix("application/json") != true {
            add(
                .warning, "resource_metadata_content_type", "the metadata is not sent as application/json", effect: "Strict clients reject it.",
                remedy: "Send Content-Type: application/json.", clause: "RFC 9728 §3.2")
        }
        if !ServerDiscovery.covers(metadata.resource, server) {
            add(
                .error, "resource_mismatch", "the metadata is of \(DisplayText.clean(metadata.resource, limit: 200)), not of \(server)",
                effect: "Clients reject it, because a server must not speak for another one.",
                remedy: "Configure exactly the URL that users type as the resource. Behind a proxy, that is the public one.", clause: "RFC 9728 §3.3")
        } else if !metadata.resource.utf8.elementsEqual(server.text.utf8), server.isSpelled(metadata.resource) {
            add(
                .warning, "resource_spelling", "the metadata spells the resource \(DisplayText.clean(metadata.resource, limit: 200))",
                effect: "Clients that compare exactly reject it.", remedy: "Give users that URL, or change the resource.", clause: "RFC 9728 §3.3")
        }
        if metadata.authorizationServers.isEmpty {
            add(
                .error, "authorization_servers_missing", "the metadata names no authorization server",
                effect: "Clients do not know where to sign in.",
                remedy: "Add authorization_servers.", clause: "MCP authorization, Authorization Server Location")
        }
        if metadata.scopesSupported?.isEmpty ?? true {
            add(
                .note, "scopes_not_listed", "the metadata lists no scopes", effect: "Clients request none, or everything that they know.",
                remedy: "List in scopes_supported what a first sign-in needs.", clause: "MCP authorization, Scope Selection")
        }
        if let methods = metadata.bearerMethodsSupported, methods.contains(where: { $0 != "header" }) {
            add(
                .warning, "bearer_methods", "the metadata allows tokens outside the Authorization header", effect: "Tokens end in logs.",
                remedy: "Set bearer_methods_supported to [\"header\"].", clause: "MCP authorization, Token Requirements")
        }
        if reply.response.headerFields[.accessControlAllowOrigin] == nil {
            add(
                profile.isWebPage ? .error : .note, "metadata_cors_missing", "web pages cannot read the metadata (no CORS headers)",
                effect: "Clients in web pages cannot sign in.", remedy: "Send Access-Control-Allow-Origin: * with the metadata documents.")
        }
    }

    /// The authorization server, by its documents.
    mutating func checkIssuer() async {
        let text = resourceMetadata?.authorizationServers.first ?? (isProtected ? server.url.origin : nil)
        guard let text else { return }
        steps.append("the authorization server \(text)")
        guard let issuer = try? Issuer(text) else {
            add(
                .error, "issuer_invalid", "the authorization server is no https URL: \(DisplayText.clean(text, limit: 200))",
                effect: "Clients cannot sign in.", remedy: "Name the issuer exactly as its own metadata does.", clause: "RFC 8414 §2")
            return
        }
        let examination = await IssuerExamination.examine(issuer, with: fetcher)
        self.issuer = examination
        // The server that issues the tokens also accepts them, so it needs to publish no keys.
        let isOneServer = issuer.url.origin.utf8.elementsEqual(server.url.origin.utf8)
        for finding in examination.findings {
            if finding.code == "jwks_uri_missing", isOneServer {
                add(
                    .note, "tokens_are_opaque", "the authorization server publishes no keys, so only it can check its tokens",
                    effect: "No other server can accept them.", remedy: "Nothing, as long as it is one server.")
                continue
            }
            // Where no issuer is named, that is a finding already, and this one is a guess.
            if finding.code == "metadata_not_found", resourceMetadata == nil { continue }
            if finding.code == "client_documents_not_supported" {
                // Not a warning: registration works for every client.
                add(
                    .note, finding.code, finding.message, effect: "Each client leaves a registration; clients that prefer a document do too.",
                    remedy: "An AuthorizationServer of this package reads documents when it is given a fetcher: "
                        + "AuthorizationServer(…, fetcher: GuardedHTTPClient.shared), with the product MCPAuthHTTPClient.",
                    clause: finding.clause)
                continue
            }
            let code = finding.code == "endpoint_not_https" ? "issuer_endpoint_not_https" : finding.code
            add(
                finding.severity == .error ? .error : .warning, code, finding.message,
                effect: finding.severity == .error
                    ? "MCP clients cannot sign in, or the server cannot verify tokens." : "Some clients or users are affected.",
                remedy: remedy(finding.code, issuer, isUnreachable: examination.isUnreachable), clause: finding.clause)
        }
        await checkKeySet()
    }

    /// Where to change what was found: the name of the issuer is configured at the MCP server, the rest at the
    /// authorization server.
    private func remedy(_ code: String, _ issuer: Issuer, isUnreachable: Bool) -> String {
        switch code {
        case "issuer_mismatch":
            "Configure the issuer at the MCP server, which names \(issuer), exactly as the authorization server names itself. "
                + "If the authorization server has a wrong name for itself, change it there."
        case "metadata_not_found" where isUnreachable:
            "Start the authorization server, or correct the issuer in the configuration of the MCP server."
        case "metadata_not_found": "Correct the issuer in the configuration of the MCP server; behind a proxy, pass /.well-known/ on."
        default: "Change it at the authorization server \(issuer)."
        }
    }

    /// A key set must contain public keys only.
    private mutating func checkKeySet() async {
        guard let url = issuer?.metadata?.jwksURI, let reply = await fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"])),
            let keys = (try? JSONValue(parsing: reply.body))?["keys"]?.array
        else { return }
        if keys.contains(where: { $0["kty"]?.string == "oct" || $0["k"] != nil }) {
            add(
                .critical, "secret_key_published", "the key set contains a shared secret (kty oct)", effect: "Anyone can sign tokens.",
                remedy: "Take it out, make new keys, and sign with an asymmetric algorithm.", clause: "RFC 7517 §9.1")
        }
        if keys.contains(where: { key in ["d", "p", "q", "dp", "dq", "qi"].contains { key[$0] != nil } }) {
            add(
                .critical, "private_key_published", "the key set contains a private key", effect: "Anyone can sign tokens.",
                remedy: "Publish the public halves only, and make new keys now.", clause: "RFC 7517 §9.1")
        }
    }
}

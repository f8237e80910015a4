/// The files of a package with a protected server.
struct PackageTemplate {
    let name: String
    /// The dependency on this package, as Swift source.
    let dependency: String
    /// Nil: the server signs users in itself.
    let provider: InitCommand.Provider?
    /// How users sign in at the server itself.
    let signIn: InitCommand.SignIn
    let admission: Admission
    /// The path of `mcp-auth`. Nil: the package comes from a git URL.
    let program: String?

    /// Which users of a provider may enter. Nothing: all of them.
    struct Admission {
        let organizations: [String]
        let domain: String?
        let emails: [String]
    }

    var files: [(path: String, text: String)] {
        [
            ("Package.swift", manifest), ("Sources/\(name)/main.swift", provider.map(mainWithProvider) ?? mainWithSignIn),
            ("Sources/\(module)/Server.swift", server), ("Tests/\(module)Tests/ServerTests.swift", tests), ("README.md", readme),
            (".gitignore", ".build/\ndata/\n"),
        ]
    }

    /// The library with the tools, such as `NotesTools`.
    private var module: String { Self.module(name) }

    static func module(_ name: String) -> String {
        name.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined() + "Tools"
    }

    private var libraries: [String] {
        ["MCPAuth", "MCPServer", "MCPAuthHummingbird"] + (provider == nil ? ["MCPAuthorizationServer", "MCPAuthSQLite"] : [])
            + (provider != nil || signIn != .password ? ["MCPAuthHTTPClient"] : [])
            + (signIn != .password ? ["OAuth", "IdentityProviders"] : [])
    }

    private var manifest: String {
        """
        // swift-tools-version: 6.2
        import PackageDescription

        func library(_ name: String) -> Target.Dependency { .product(name: name, package: "swift-mcp-auth") }

        let package = Package(
            name: "\(name)", platforms: [.macOS(.v15)],
            dependencies: [
        \(dependency.contains("path:") ? "        // On another machine: .package(url: \"GIT URL\", branch: \"main\")\n" : "")        \(dependency)
            ],
            targets: [
                // The tools, which the tests use too.
                .target(name: "\(module)", dependencies: [library("MCPServer"), library("MCPAuth")]),
                // The program: who may call them.
                .executableTarget(
                    name: "\(name)",
                    dependencies: ["\(module)", \(libraries.map { "library(\"\($0)\")" }.joined(separator: ", "))]),
                .testTarget(name: "\(module)Tests", dependencies: ["\(module)", library("MCPAuthTesting"), library("MCPServer")]),
            ])

        """
    }

    private var server: String {
        """
        import MCPAuth
        import MCPServer

        struct AddNote: Decodable { let text: String }
        struct Note: Codable, Sendable { let id: Int, text: String }

        /// Notes in memory, separate for each user. `owner` combines the issuer and the subject of the token.
        actor Notes {
            private var byOwner: [String: [Note]] = [:]

            func all(of owner: String) -> [Note] { byOwner[owner] ?? [] }

            func add(_ text: String, for owner: String) -> Note {
                let note = Note(id: all(of: owner).count + 1, text: text)
                byOwner[owner, default: []].append(note)
                return note
            }
        }

        /// The server: each tool with the scope that its caller needs.
        public func makeServer() -> MCPServer {
            let notes = Notes()
            return MCPServer("\(name)", version: "1.0") {
                Tool("list-notes", "List my notes", requires: "read:notes") { call in await notes.all(of: call.principal.owner) }
                Tool("add-note", "Add a note", requires: "write:notes") { (input: AddNote, call) in
                    await notes.add(input.text, for: call.principal.owner)
                }
            }
        }

        """
    }

    private var mainWithSignIn: String {
        let imports = [
            "Foundation", signIn == .password ? "JOSE" : "IdentityProviders", "MCPAuth", signIn == .password ? nil : "MCPAuthHTTPClient",
            "MCPAuthHummingbird", "MCPAuthSQLite", "MCPAuthorizationServer", "MCPServer", module, signIn == .password ? nil : "OAuth",
        ].compactMap { $0 }.sorted().map { "import \($0)" }.joined(separator: "\n")
        let users =
            signIn != .password
            ? ""
            : """

                if origin.hasPrefix("http:"), try await issuer.user(named: "ada") == nil {
                    let password = RandomSource.system.token(bytes: 9)
                    try await issuer.addUser(named: "ada", password: password)
                    print("Created the user ada with the password \\(password)")
                } else if !origin.hasPrefix("http:") {
                    print("Users are added with: mcp-auth users add NAME --data \\(data)")
                }
            """
        let server =
            signIn == .password
            ? "AuthorizationServer(origin, configuration: configuration, in: DataFolder(data))"
            : """
            AuthorizationServer(
                    origin, configuration: configuration, in: DataFolder(data), signIn: [method], fetcher: GuardedHTTPClient.shared)
            """
        return """
            \(imports)

            await ServerProgram.run {
                ServerProgram.takesNoArguments(variables: [
            \(variableList)
                ])
                let transport = try ServerProgram.transport(port: 8000)
                // The port and the address are checked before any file is created.
                try transport.check()
                // The address that clients use. On the internet ORIGIN=https://mcp.example.com, with a reverse proxy in front.
                let origin = try ServerProgram.origin(of: transport)
                let data = ProcessInfo.processInfo.environment["DATA"] ?? "data"
                let resource = try ProtectedResource(
                    origin + "/mcp", scopes: [.init("read:notes", "See your notes"), .init("write:notes", "Write notes")])
                var configuration = AuthorizationServerConfiguration(resources: [resource])
                configuration.name = "\(name)"  // the name that users see on the sign-in and consent pages
            \(method)    let issuer = try await \(server)\(users)
                let auth = try ResourceServer(origin + "/mcp", trusting: .local(issuer))
                try await makeServer().run(
                    transport, protectedBy: auth, authorizationServer: issuer, trustedProxies: origin.hasPrefix("https:") ? 1 : 0)
            }
            \(secretFunction)
            """
    }

    /// Whether everyone with an account at the provider may enter.
    private var admitsEveryone: Bool {
        signIn != .password && signIn != .entra && admission.organizations.isEmpty && admission.domain == nil && admission.emails.isEmpty
    }

    /// What to know before the server is on the internet.
    var admissionNote: String {
        guard provider == nil, admitsEveryone else { return "" }
        let options = signIn == .github ? "--admit-organization or --admit-email" : "--admit-domain or --admit-email"
        return
            "Everyone with an account at \(signIn == .github ? "GitHub" : "Google") may enter. To restrict that, write it again with \(options).\n\n"
    }

    /// What the program reads, for its help.
    private var variableList: String {
        var all = [
            ("PORT", "the port to listen on (8000)"), ("HOST", "the address to listen on (127.0.0.1)"),
            ("ORIGIN", "the public address, such as https://mcp.example.com"),
        ]
        if provider == nil { all.append(("DATA", "the folder of users and grants (data)")) }
        if !admission.emails.isEmpty { all.append(("ADMIT_EMAILS", "the addresses that may enter, separated by commas")) }
        all += variables.map { ($0, $0.hasSuffix("SECRET") ? "the client secret at the provider" : "from the provider") }
        return all.map { "        \"\($0.0)\": \"\($0.1)\"," }.joined(separator: "\n")
    }

    /// What is to be done before the first start.
    var nextSteps: [String] {
        if provider != nil { return ["# replace the issuer in Sources/\(name)/main.swift; the comment there says what to set up at the provider"] }
        guard signIn != .password else { return [] }
        return [
            "# register an application; mcp-auth providers \(signIn.rawValue) has the steps. Its callback is",
            "# http://127.0.0.1:8000/sign-in/callback/\(signIn.rawValue), with your ORIGIN on the internet",
        ]
    }

    /// The command that starts the server.
    var start: String { (variables.map { "\($0)=..." } + ["swift run \(name)"]).joined(separator: " ") }

    /// The names of the variables with the credentials at the provider.
    var variables: [String] {
        guard signIn != .password else { return [] }
        let prefix = signIn.rawValue.uppercased()
        return ["\(prefix)_CLIENT_ID", "\(prefix)_CLIENT_SECRET"] + (signIn == .entra ? ["ENTRA_TENANT"] : [])
    }

    /// The one way to sign in, with who may enter.
    private var method: String {
        func list(_ values: [String]) -> String { "[" + values.map { "\"\($0)\"" }.joined(separator: ", ") + "]" }
        guard signIn != .password else { return "" }
        let emails = "try admittedAddresses()"
        let credentials = "clientID: try variable(\"\(variables[0])\"), clientSecret: ProviderSecret(try variable(\"\(variables[1])\"))"
        let call =
            switch signIn {
            case .password: ""
            case .github where admission.emails.isEmpty:
                ".github(\(credentials)" + (admission.organizations.isEmpty ? "" : ", organizations: \(list(admission.organizations))") + ")"
            case .github:
                ".provider(\n        .github(), \(credentials),\n        admission: Admission(\(admission.organizations.isEmpty ? "" : "organizations: \(list(admission.organizations)), ")emails: \(emails)))"
            case .google where admission.emails.isEmpty:
                ".google(\(credentials)" + (admission.domain.map { ", hostedDomain: \"\($0)\"" } ?? "") + ")"
            case .google:
                ".provider(\n        .google(), \(credentials),\n        admission: Admission(\(admission.domain.map { "domains: [\"\($0)\"], " } ?? "")emails: \(emails)))"
            case .entra: ".provider(\n        .entra(tenant: try variable(\"ENTRA_TENANT\")), \(credentials))"
            }
        let warning = admitsEveryone ? "    // Everyone with an account there may enter. Restrict it before the server is on the internet.\n" : ""
        return warning + "    let method = SignInMethod\(call)\n"
    }

    /// Colleagues come and go; that takes no new build.
    private var admittedAddresses: String {
        guard !admission.emails.isEmpty else { return "" }
        return """

            /// The addresses that may enter: those of ADMIT_EMAILS, otherwise the ones here.
            func admittedAddresses() throws -> [String] {
                let text = ProcessInfo.processInfo.environment["ADMIT_EMAILS"] ?? "\(admission.emails.joined(separator: ","))"
                let addresses = text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { $0.contains("@") }
                guard !addresses.isEmpty else {
                    throw OAuthError(.invalidConfiguration, "ADMIT_EMAILS names no address; an empty list would admit everyone")
                }
                return addresses
            }

            """
    }

    private var secretFunction: String {
        guard signIn != .password else { return "" }
        return """

            /// A value of the environment: secrets are not part of the source.
            func variable(_ name: String) throws -> String {
                let environment = ProcessInfo.processInfo.environment
                let missing = [\(variables.map { "\"\($0)\"" }.joined(separator: ", "))].filter { (environment[$0] ?? "").isEmpty }
                guard missing.isEmpty, let value = environment[name] else {
                    throw OAuthError(
                        .invalidConfiguration,
                        "set \\(missing.joined(separator: ", ")); mcp-auth providers \(signIn.rawValue) says where they come from, README.md which callback to register")
                }
                return value
            }
            \(admittedAddresses)
            """
    }

    /// What a provider needs: the issuer, the audience, and the form of its tokens.
    private func mainWithProvider(_ provider: InitCommand.Provider) -> String {
        let (comment, issuer, audience) =
            switch provider {
            case .auth0:
                (
                    "Auth0: Applications > APIs > Create API. Its identifier is the URL of this server, http://127.0.0.1:8000/mcp (with your ORIGIN on the\n    // internet). Add the permissions read:notes and write:notes, and turn on the Resource Parameter Compatibility Profile:\n    // docs/guides/identity-provider.md of swift-mcp-auth has the steps.",
                    "https://YOUR-TENANT.eu.auth0.com/", ".resource"
                )
            case .entra:
                (
                    "Entra ID: register an application, expose an API with the scopes read:notes and write:notes, and set requestedAccessTokenVersion to 2.",
                    "https://login.microsoftonline.com/YOUR-TENANT-ID/v2.0", ".exactly([\"YOUR-CLIENT-ID\"])"
                )
            case .keycloak:
                (
                    "Keycloak: add client scopes read:notes and write:notes, each with an audience mapper for the URL below.",
                    "https://login.example.com/realms/YOUR-REALM", ".resource"
                )
            case .okta:
                (
                    "Okta: Security > API > Authorization Servers. Set the audience to the URL below, and add the scopes read:notes and write:notes.",
                    "https://YOUR-ORG.okta.com/oauth2/default", ".resource"
                )
            case .other:
                (
                    "Register the URL below as an API (resource, audience) at the provider, with the scopes read:notes and write:notes.",
                    "https://login.example.com", ".resource"
                )
            }
        return """
            import Foundation
            import MCPAuth
            import MCPAuthHTTPClient
            import MCPAuthHummingbird
            import MCPServer
            import \(module)

            await ServerProgram.run {
                ServerProgram.takesNoArguments(variables: [
            \(variableList)
                ])
                let transport = try ServerProgram.transport(port: 8000)
                // The address that clients use. On the internet ORIGIN=https://mcp.example.com, with a reverse proxy in front.
                let origin = try ServerProgram.origin(of: transport)
                let url = origin + "/mcp"

                // \(comment)
                // issuer: exactly the iss of its tokens. audience: what it writes into aud for this server. tokens: .anyJWT, because it does not mark
                // access tokens as RFC 9068 demands; leave it out for providers that do.
                let auth = try ResourceServer(
                    url, trusting: .issuer("\(issuer)", audience: \(audience), tokens: .anyJWT))
                try await makeServer().run(transport, protectedBy: auth, trustedProxies: origin.hasPrefix("https:") ? 1 : 0)
            }

            """
    }

    private var tests: String {
        """
        import MCPAuthTesting
        import MCPServer
        import Testing
        import \(module)

        @Test("notes are separate for each user") func notes() async throws {
            let client = try TestClient(makeServer())
            _ = try await client.call("add-note", ["text": "Buy milk"], as: "ada", scopes: "write:notes")
            #expect(try await client.call("list-notes", as: "ada", scopes: "read:notes").text?.contains("Buy milk") == true)
            #expect(try await client.call("list-notes", as: "grace", scopes: "read:notes").text?.contains("Buy milk") == false)
        }

        @Test("a call without a token, or without the scope, is refused") func refused() async throws {
            let client = try TestClient(makeServer())
            #expect(try await client.callWithoutToken("list-notes").status == 401)
            #expect(try await client.call("add-note", ["text": "x"], scopes: "read:notes").status == 403)
        }

        """
    }

    private var readme: String {
        let text =
            if provider != nil {
                "Before the first start, follow the comment in `Sources/\(name)/main.swift`: it says what to set up at the provider."
            } else if signIn != .password {
                "Before the first start, register an application at the provider. `mcp-auth providers \(signIn.rawValue)` lists the steps. The\ncallback URL is `http://127.0.0.1:8000/sign-in/callback/\(signIn.rawValue)`, with your origin in place of `http://127.0.0.1:8000` when it\nis on the internet. Users and grants are stored in `data`. The notes are in memory, until you store them."
            } else {
                "The first start creates the user `ada` and prints her password. Users and grants are stored in `data`. The notes are in\nmemory, until you store them."
            }
        return """
            # \(name)

            An MCP server whose tools need a token.

            ```console
            $ \(start)
            $ swift test
            ```

            \(text) Then open http://127.0.0.1:8000 in a browser: the page shows how to connect an MCP client.

            On the internet, set `ORIGIN=https://mcp.example.com` and put a reverse proxy with a certificate in front. `HOST` and `PORT` choose
            where the program listens\(provider == nil ? ", `DATA` where it stores users and grants" : ""). \(provider == nil && signIn == .password ? "There, no user is created: `mcp-auth users add NAME --data data`." : "")

            The tools are in `Sources/\(module)/Server.swift`.

            ## Who may enter

            \(whoMayEnter)

            """
    }

    /// Who may enter, and how to change that, each a paragraph.
    private var whoMayEnter: String {
        let main = "`Sources/\(name)/main.swift`"
        var paragraphs: [String] = []
        if provider != nil {
            paragraphs.append(
                "Everyone to whom the provider issues a token for this server. The scopes of the token decide which tools a user\nmay call. Both are set up at the provider."
            )
        } else {
            paragraphs.append(signIn == .password ? "The users that you add, each with a password:" : admitted)
            if signIn == .password { paragraphs.append("```console\n$ mcp-auth users add grace --data data\n```") }
            paragraphs.append(
                (signIn == .password ? "" : "A change counts from the next start. ")
                    + "`mcp-auth users list --data data` shows the users who have entered, and\n`mcp-auth users disable NAME --data data` ends the access of one within seconds."
            )
        }
        if signIn != .password && !admission.organizations.isEmpty {
            paragraphs.append("The organizations are those of `organizations:` in \(main).")
        }
        if let domain = admission.domain { paragraphs.append("The domain is `\(domain)` in \(main).") }
        if !admission.emails.isEmpty {
            paragraphs.append(
                "`ADMIT_EMAILS=ada@example.com,grace@example.com` replaces the addresses in \(main).\nThe program does not start if it names no address, because an empty list would admit everyone."
            )
        }
        if provider == nil {
            let place = program.map { "`\($0)`" } ?? "built in swift-mcp-auth with `swift build --product mcp-auth`"
            paragraphs.append("The command `mcp-auth` is \(place).")
        }
        return paragraphs.joined(separator: "\n\n")
    }

    /// The users of the sign-in provider who may enter.
    private var admitted: String {
        if signIn == .entra {
            return
                "Every user of the tenant `ENTRA_TENANT`. To admit only some, turn on \"Assignment required\" for the application in Entra."
        }
        let place = signIn == .github ? "GitHub" : "Google"
        guard !admitsEveryone else {
            return
                "Everyone with an account at \(place). To restrict that, add \(signIn == .github ? "`organizations: [\"NAME\"]`" : "`hostedDomain: \"example.com\"`") to `SignInMethod.\(signIn.rawValue)` in\n`Sources/\(name)/main.swift`. For a list of e-mail addresses, write the package again with `--admit-email ada@example.com`."
        }
        var rules: [String] = []
        if !admission.organizations.isEmpty { rules.append("who are members of \(admission.organizations.joined(separator: " or "))") }
        if let domain = admission.domain { rules.append("whose account belongs to \(domain)") }
        if !admission.emails.isEmpty { rules.append("whose verified e-mail address is listed") }
        return "Users of \(place) \(rules.joined(separator: " and "))."
    }
}

import ArgumentParser
import Foundation
import OAuth

struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Write a package with a protected MCP server.",
        discussion: """
            Creates the folder NAME with a server, its tests and a README. It builds
            and runs as it stands.

            --passwords: the server signs users in itself. No account elsewhere is
            needed. --sign-in: it lets users sign in with their account at GitHub or
            another provider. --provider: users sign in at your identity provider,
            which issues the tokens.

            EXAMPLES
              mcp-auth init notes
              mcp-auth init notes --sign-in github --admit-organization acme
              mcp-auth init notes --provider auth0
              cd notes && swift run notes
            """)

    enum Provider: String, ExpressibleByArgument, CaseIterable { case auth0, entra, keycloak, okta, other }

    /// Modules of Swift and of the package that is used, in small letters. Two of one name cannot be built together.
    private static let taken: Set<String> = [
        "swift", "foundation", "dispatch", "testing", "xctest", "test", "tests", "main", "synchronization", "observation", "distributed", "jose",
        "oauth", "identityproviders", "mcpauth", "mcpauthorizationserver", "mcpserver", "mcpclient", "mcpauthclient", "mcpauthtesting",
        "mcpauthhummingbird", "mcpauthsqlite", "mcpauthmetrics", "mcpauthhttpclient", "mcp-auth", "swift-mcp-auth", "hummingbird", "grdb", "logging",
        "metrics", "tracing", "crypto", "httptypes", "nio",
    ]

    enum SignIn: String, ExpressibleByArgument, CaseIterable { case password, github, google, entra }

    @Argument(help: "The name of the package and the server: letters, digits, hyphens.")
    var name: String

    @Option(help: "The provider whose tokens the server takes: auth0, entra, keycloak, okta or other.")
    var provider: String?

    @Option(help: ArgumentHelp("How users sign in: password, github, google or entra. Default: password.", valueName: "method"))
    var signIn: String?

    @Option(help: ArgumentHelp("With github: only members of this organization. Repeatable.", valueName: "name"))
    var admitOrganization: [String] = []

    @Option(help: ArgumentHelp("With google: only users of this Workspace domain.", valueName: "domain"))
    var admitDomain: String?

    @Option(help: ArgumentHelp("With github or google: only this verified e-mail address. Repeatable.", valueName: "address"))
    var admitEmail: [String] = []

    @Flag(help: "The server signs users in itself (the default).")
    var passwords = false

    @Option(help: ArgumentHelp("The swift-mcp-auth package: a folder or a git URL. Default: where this program was built.", valueName: "place"))
    var package: String?

    func validate() throws {
        guard name.wholeMatch(of: /[A-Za-z][A-Za-z0-9-]{0,49}/) != nil else {
            throw ValidationError("NAME begins with a letter and has at most 50 letters, digits and hyphens")
        }
        guard !Self.taken.contains(name.lowercased()), !Self.taken.contains(PackageTemplate.module(name).lowercased()) else {
            throw ValidationError("\(name) is the name of a module that the package needs; choose another one, such as \(name.lowercased())-server")
        }
        guard [provider != nil, signIn != nil, passwords].count(where: { $0 }) <= 1 else {
            throw ValidationError("choose one of --passwords, --sign-in and --provider")
        }
        if let provider, Provider(rawValue: provider) == nil {
            let names = Provider.allCases.map(\.rawValue)
            if SignIn(rawValue: provider) != nil {
                throw ValidationError(
                    "\(provider) issues no tokens for your server. Let users sign in with it at your own server: --sign-in \(provider)")
            }
            let method = NearestName.of(provider, among: SignIn.allCases.map(\.rawValue)).map { " (did you mean --sign-in \($0)?)" }
            throw ValidationError("--provider is one of \(names.joined(separator: ", "))\(method ?? NearestName.hint(provider, among: names))")
        }
        let method = signIn.flatMap(SignIn.init)
        if let signIn, method == nil {
            let names = SignIn.allCases.map(\.rawValue)
            let hint =
                Provider(rawValue: signIn) == nil
                ? NearestName.hint(signIn, among: names) : ". To trust the tokens of \(signIn) instead: --provider \(signIn)"
            throw ValidationError(
                "--sign-in is one of \(names.joined(separator: ", "))\(hint)\(hint.isEmpty ? ". Others: see docs/guides/sign-in-providers.md" : "")")
        }
        for (option, isGiven, methods) in [
            ("--admit-organization", !admitOrganization.isEmpty, [SignIn.github]), ("--admit-domain", admitDomain != nil, [.google]),
            ("--admit-email", !admitEmail.isEmpty, [.github, .google]),
        ] where isGiven && !methods.contains(where: { $0 == method }) {
            throw ValidationError("\(option) needs --sign-in \(methods.map(\.rawValue).joined(separator: " or "))")
        }
        for address in admitEmail where address.wholeMatch(of: /[^@]+@[^@]+\.[^@]+/) == nil {
            throw ValidationError("--admit-email is an address such as ada@example.com, not \(address)")
        }
        guard (admitOrganization + admitEmail + [admitDomain ?? ""]).allSatisfy({ $0.wholeMatch(of: /[A-Za-z0-9@._+-]{0,200}/) != nil }) else {
            throw ValidationError("organizations, domains and addresses have letters, digits and @ . _ + -")
        }
    }

    func run() throws {
        do throws(OAuthError) { try write() } catch { throw Console.failure(error) }
    }

    private func write() throws(OAuthError) {
        let folder = URL(fileURLWithPath: name)
        guard !FileManager.default.fileExists(atPath: folder.path) else {
            throw OAuthError(.invalidRequest, "\(name) exists already; choose another name, or move it away")
        }
        guard let place = package ?? Self.ownPackage else {
            throw OAuthError(
                .invalidRequest, "the swift-mcp-auth package was not found; name its folder or its git URL with --package")
        }
        guard !place.contains(where: { "\"\\\n".contains($0) }) else {
            throw OAuthError(.invalidRequest, "--package holds a quote, a backslash or a line break, which a manifest cannot name")
        }
        // Made absolute first: Foundation on Linux drops the dots of a relative path.
        let absolute = place.hasPrefix("/") ? place : FileManager.default.currentDirectoryPath + "/" + place
        let path = URL(fileURLWithPath: absolute).standardized.path
        let isFolder = FileManager.default.fileExists(atPath: path + "/Package.swift")
        guard isFolder || place.contains("://") else {
            throw OAuthError(.invalidRequest, "\(place) is no folder with a Package.swift, and no URL")
        }
        let dependency =
            isFolder
            ? ".package(name: \"swift-mcp-auth\", path: \"\(path)\")"
            : ".package(url: \"\(place)\", branch: \"main\")"
        let template = PackageTemplate(
            name: name, dependency: dependency, provider: provider.flatMap(Provider.init), signIn: signIn.flatMap(SignIn.init) ?? .password,
            admission: .init(organizations: admitOrganization, domain: admitDomain, emails: admitEmail),
            program: isFolder && path == Self.ownPackage ? Self.ownProgram.path : nil)
        do {
            for (path, text) in template.files {
                let file = folder.appendingPathComponent(path)
                try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: file)
            }
        } catch {
            throw OAuthError(.invalidConfiguration, "\(folder.path) cannot be written; run this in a folder that you may write to")
        }
        Console.output(
            """
            Created \(name):

            \(template.files.map { "  " + $0.path }.joined(separator: "\n"))

            \(template.admissionNote)Next:
              cd \(name)
            \(template.nextSteps.map { "  " + $0 + "\n" }.joined())  # the first build takes 5 to 15 minutes
              \(template.start)
              swift test
            """)
    }

    private static var ownProgram: URL {
        URL(fileURLWithPath: Bundle.main.executablePath ?? CommandLine.arguments[0]).resolvingSymlinksInPath()
    }

    /// The package that this program was built in: some folder above it has its manifest.
    private static var ownPackage: String? {
        let program = ownProgram
        var folder = program.deletingLastPathComponent()
        while folder.path != "/" {
            let manifest = folder.appendingPathComponent("Package.swift").path
            // Only the package in whose build folder this program lies: any folder above could have a manifest of
            // somebody else.
            if program.path.hasPrefix(folder.appendingPathComponent(".build").path + "/"),
                let data = FileManager.default.contents(atPath: manifest), String(decoding: data, as: UTF8.self).contains("name: \"swift-mcp-auth\"")
            {
                return folder.path
            }
            folder = folder.deletingLastPathComponent()
        }
        return nil
    }
}

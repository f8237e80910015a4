import ArgumentParser
import Foundation
import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthClient
import MCPAuthHTTPClient
import OAuth

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Print an access token for a server; make, read and check tokens.",
        discussion: """
            mcp-auth token URL prints a valid access token, renewed if needed.

            EXAMPLES
              TOKEN=$(mcp-auth token http://127.0.0.1:8000/mcp)
              mcp-auth token inspect "$TOKEN"

            \(ClientFailure.text)
            """,
        subcommands: [Print.self, Mint.self, Inspect.self, Verify.self], defaultSubcommand: Print.self)

    struct Print: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a valid access token for a server.",
            discussion: """
                EXAMPLES
                  mcp-auth token http://127.0.0.1:8000/mcp
                  mcp-auth token print https://mcp.example.com/mcp --json

                \(ClientFailure.text)
                """)
        @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
        var url: String
        @OptionGroup var options: ClientOptions

        func run() async throws {
            // A word that is no URL was meant as a subcommand, of which this is the default.
            if url.allSatisfy({ $0.isLetter || $0 == "-" }), url != "localhost" {
                let known = ["print", "mint", "inspect", "verify"]
                throw ClientFailure.exit(
                    OAuthError(
                        .invalidRequest,
                        "token has no subcommand \(url)\(NearestName.hint(url, among: known)). It has \(known.joined(separator: ", ")), or takes a URL"
                    ))
            }
            try await ClientContext.run(url, options, asksUser: ClientTerminal.canAsk(options)) { context in
                let credentials = try await context.session.credentials()
                guard options.json else { return Console.output(credentials.accessToken) }
                var object = StatusCommand.object(credentials)
                object["access_token"] = .string(credentials.accessToken)
                Console.output(JSONValue.object(object).text)
            }
        }
    }

    struct Mint: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a signed token, for development.",
            discussion: """
                A server accepts it if it trusts the public key, such as with JWT_PUBLIC_KEY.

                EXAMPLES
                  mcp-auth token mint --new-key dev.pem --issuer https://dev.test \\
                    --audience http://127.0.0.1:8000/mcp --subject ada --scope read:tasks
                  mcp-auth token mint --key dev.pem --issuer https://dev.test \\
                    --audience http://127.0.0.1:8000/mcp --claim groups='["staff"]'

                EXIT CODES
                  0 success, 64 wrong usage, 78 the key cannot be used
                """)
        @Option(help: ArgumentHelp("A private key (PEM).", valueName: "path"), completion: .file())
        var key: String?
        @Option(help: ArgumentHelp("Make a new ES256 key at this path, and its public half at PATH.pub.", valueName: "path"))
        var newKey: String?
        @Option(help: ArgumentHelp("The claim iss.", valueName: "url"))
        var issuer: String
        @Option(help: ArgumentHelp("The claim aud: the URL of the server.", valueName: "url"))
        var audience: String
        @Option(help: ArgumentHelp("The claim sub.", valueName: "text"))
        var subject = "dev-user"
        @Option(name: .customLong("client-id"), help: ArgumentHelp("The claim client_id.", valueName: "id"))
        var clientID = "dev-client"
        @Option(help: ArgumentHelp("The claim scope.", valueName: "scopes"))
        var scope: String?
        @Option(parsing: .unconditional, help: ArgumentHelp("The lifetime in seconds. Negative: a token that has expired.", valueName: "seconds"))
        var expiresIn: Int64 = 3600
        @Option(help: ArgumentHelp("A further claim. The value is JSON, or a text. Repeatable.", valueName: "name=value"))
        var claim: [String] = []

        func validate() throws { guard (key != nil) != (newKey != nil) else { throw ValidationError("give --key PATH, or --new-key PATH") } }

        func run() throws {
            do {
                let signing = try signingKey()
                let now = Clock.system.now
                var claims: JSONObject = [
                    "iss": .string(issuer), "sub": .string(subject), "aud": .string(audience), "client_id": .string(clientID),
                    "iat": .int(now.seconds), "exp": .int(now.advanced(by: expiresIn).seconds), "jti": .string(RandomSource.system.token(bytes: 12)),
                ]
                claims["scope"] = scope.map { .string($0) }
                for item in claim {
                    guard let equals = item.firstIndex(of: "="), equals != item.startIndex else {
                        throw OAuthError(.invalidRequest, "--claim is name=value, such as groups='[\"staff\"]'")
                    }
                    let text = String(item[item.index(after: equals)...])
                    claims[String(item[..<equals])] = (try? JSONValue(parsing: text)) ?? .string(text)
                }
                Console.output(try CompactJWS.sign(JSONValue.object(claims).serialized, type: "at+jwt", with: signing))
            } catch let error as JOSEError { throw ClientFailure.exit(OAuthError(.invalidConfiguration, error.message)) } catch {
                throw ClientFailure.exit(error)
            }
        }

        private func signingKey() throws -> SigningKey {
            if let key {
                guard let data = FileManager.default.contents(atPath: key) else {
                    throw OAuthError(.invalidConfiguration, "--key: \(key) cannot be read")
                }
                return try SigningKey(pem: String(decoding: data, as: UTF8.self))
            }
            guard let path = newKey else { throw OAuthError(.invalidRequest, "no key") }
            guard !FileManager.default.fileExists(atPath: path) else {
                throw OAuthError(.invalidRequest, "\(path) exists already; use it with --key \(path)")
            }
            let made = try SigningKey.generate(.es256)
            guard let secret = made.pem, let open = made.verificationKey.pem,
                FileManager.default.createFile(atPath: path, contents: Data(secret.utf8), attributes: [.posixPermissions: 0o600]),
                FileManager.default.createFile(atPath: path + ".pub", contents: Data(open.utf8))
            else { throw OAuthError(.invalidConfiguration, "\(path) cannot be written") }
            Console.note("The public key is in \(path).pub.")
            return made
        }
    }

    struct Inspect: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Explain the claims of a token.",
            discussion: """
                Nothing is sent anywhere, and no signature is checked.

                EXAMPLES
                  mcp-auth token inspect "$TOKEN"
                  mcp-auth token http://127.0.0.1:8000/mcp | mcp-auth token inspect

                EXIT CODES
                  0 success, 65 not a JWT
                """)
        @Argument(help: "The token. Default: the first line of standard input.")
        var token: String?
        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let (jws, claims) = try TokenText.parse(token)
            if json {
                let object: JSONObject = ["header": jws.document.root.value, "claims": claims.document.root.value]
                return Console.output(JSONValue.object(object).text)
            }
            let now = Clock.system.now
            Console.output(Console.bold("header", on: .output))
            for member in jws.document.root.members ?? [] { TokenText.show(member.name, member.value.value, at: now) }
            Console.output(Console.bold("claims", on: .output))
            for member in claims.document.root.members ?? [] { TokenText.show(member.name, member.value.value, at: now) }
            Console.note("The signature was not checked: mcp-auth token verify does that.")
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check a token as a server does.",
            discussion: """
                Checks signature, type, issuer, audience and times. The keys come from --keys,
                or from the metadata of the issuer.

                EXAMPLES
                  mcp-auth token verify "$TOKEN" --issuer http://127.0.0.1:8000 \\
                    --audience http://127.0.0.1:8000/mcp
                  mcp-auth token verify "$TOKEN" --issuer https://dev.test --keys dev.pem.pub \\
                    --audience http://127.0.0.1:8000/mcp

                EXIT CODES
                  0 valid, 65 not valid, 69 the keys cannot be fetched
                """)
        @Argument(help: "The token. Default: the first line of standard input.")
        var token: String?
        @Option(help: ArgumentHelp("The expected issuer.", valueName: "url"))
        var issuer: String
        @Option(help: ArgumentHelp("The expected audience.", valueName: "url"))
        var audience: String
        @Option(help: ArgumentHelp("A public key (PEM) or a JWK set.", valueName: "path"), completion: .file())
        var keys: String?
        @Flag(help: "Accept tokens whose typ is not at+jwt, for issuers that do not follow RFC 9068.")
        var anyType = false
        @Flag(help: "Also reach private networks, for an issuer on an intranet.")
        var allowPrivateNetworks = false

        func run() async throws {
            let (jws, claims) = try TokenText.parse(token)
            let set: JWKSet
            do { set = try await keySet() } catch let error as JOSEError {
                throw ClientFailure.exit(OAuthError(.invalidConfiguration, error.message))
            } catch {
                throw ClientFailure.exit(error)
            }
            func invalid(_ reason: String) -> ExitCode {
                Console.problem("not valid: \(reason)")
                return ExitCode(65)
            }
            guard let header = try? CompactJWS(parsing: jws.text) else { throw invalid("it is not a signed JWT") }
            do throws(JOSEError) { try header.verify(using: set) } catch { throw invalid(error.message) }
            let requirements = JWTRequirements(
                issuer: issuer, audiences: [audience], type: anyType ? .absentOrJWT(or: ["at+jwt"]) : .oneOf(["at+jwt"]))
            if let violation = requirements.violation(header: header.header, claims: claims, now: Clock.system.now) {
                let found =
                    switch violation {
                    case .wrongType: "typ is \(header.header.type ?? "absent"), not at+jwt (--any-type accepts others)"
                    case .wrongIssuer: "iss is \(claims.issuer ?? "absent"), not \(issuer)"
                    case .wrongAudience: "aud is \(claims.audience.joined(separator: ", ")), not \(audience)"
                    case .noExpiration: "it has no exp"
                    case .expired: "it expired at \(claims.expiration?.iso8601 ?? "?")"
                    case .notYetValid: "it is valid from \(claims.notBefore?.iso8601 ?? "?")"
                    case .issuedInTheFuture: "iat is in the future: \(claims.issuedAt?.iso8601 ?? "?"). Compare the clocks"
                    case .livesTooLong: "it lives too long"
                    }
                throw invalid(found)
            }
            Console.output("Valid until \(claims.expiration?.iso8601 ?? "?"), for \(claims.subject ?? "no subject").")
            Console.note("Whether it was revoked was not checked: only its issuer knows.")
        }

        private func keySet() async throws -> JWKSet {
            if let keys {
                guard let data = FileManager.default.contents(atPath: keys) else {
                    throw OAuthError(.invalidConfiguration, "--keys: \(keys) cannot be read")
                }
                let text = String(decoding: data, as: UTF8.self)
                return text.contains("-----BEGIN") ? JWKSet([try VerificationKey(pem: text)]) : try JWKSet(parsing: Array(data))
            }
            let issuer = try Issuer(self.issuer)
            var policy = await OutboundPolicy.zone(of: issuer.url)
            if allowPrivateNetworks { policy.allowPrivateNetworks = true }
            let client = try GuardedHTTPClient.environment(ProcessInfo.processInfo.environment, policy: policy, explainsFailures: true)
            defer { Task { await client.shutdown() } }
            let metadata = try await AuthorizationServerMetadata.discover(issuer, with: client)
            guard let url = metadata.jwksURI else { throw OAuthError(.invalidMetadata, "the metadata of \(issuer) has no jwks_uri; give --keys") }
            let reply = try await client.fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"]))
            return try JWKSet(parsing: reply.body)
        }
    }
}

/// A token on the command line.
enum TokenText {
    struct Parsed {
        let text: String
        let document: JSONDocument
    }

    /// The header and the claims. Exits with 65 when the text is not a JWT.
    static func parse(_ argument: String?) throws -> (Parsed, JWTClaims) {
        var text = (argument ?? readLine() ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
        if text.lowercased().hasPrefix("bearer ") { text = String(text.dropFirst(7)) }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = try? JSONDocument(parsing: Base64URL.decode(String(parts[0]))),
            let payload = try? Base64URL.decode(String(parts[1])), let claims = try? JWTClaims(parsing: payload)
        else {
            Console.problem(
                text.isEmpty
                    ? "no token was given"
                    : "this is not a JWT. An opaque token says nothing by itself; only its issuer can explain it (introspection)")
            throw ExitCode(65)
        }
        return (Parsed(text: text, document: header), claims)
    }

    private static let meanings: [String: String] = [
        "alg": "signature algorithm", "typ": "kind of token", "kid": "key that signed it", "iss": "issuer: who made the token",
        "sub": "subject: the user, or the client itself", "aud": "audience: the server it is for", "exp": "expires", "iat": "issued",
        "nbf": "valid from", "jti": "identifier of the token", "scope": "what it allows", "client_id": "the client that asked for it",
        "azp": "the client that asked for it", "cnf": "bound to a key: the sender proves that it holds it", "act": "who acts for the subject",
        "auth_time": "the user signed in", "acr": "how the user signed in", "amr": "methods of the sign-in", "nonce": "ties it to one sign-in",
        "email": "e-mail address", "name": "name of the user", "groups": "groups of the user", "roles": "roles of the user",
        "sid": "session", "jwk": "public key", "crit": "extensions that must be understood", "entitlements": "rights of the user",
    ]

    static func show(_ name: String, _ value: JSONValue, at now: NumericDate) {
        var text = value.string ?? value.text
        if ["exp", "iat", "nbf", "auth_time"].contains(name), let seconds = value.int {
            let date = NumericDate(seconds: Int64(seconds))
            let distance = date.seconds(since: now)
            let words = abs(distance) < 120 ? "\(abs(distance)) s" : abs(distance) < 7200 ? "\(abs(distance) / 60) min" : "\(abs(distance) / 3600) h"
            text = "\(date.iso8601) (\(distance < 0 ? words + " ago" : "in " + words))"
        }
        let title = "  " + Console.printable(name)
        let meaning = meanings[name].map { "   \($0)" } ?? ""
        Console.output(title + String(repeating: " ", count: max(1, 22 - title.count)) + Console.printable(text) + meaning)
    }
}

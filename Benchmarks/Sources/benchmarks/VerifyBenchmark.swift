import Crypto
import CryptoExtras
import Foundation
import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import OAuth

/// What verifying a token costs beside its bare signature, and a cached one beside its hash. The two sides take turns, and the median of their ratios counts.
enum VerifyBenchmark {
    static let resource = "https://mcp.example.com/mcp"

    static func run() throws {
        let chosen = [SigningAlgorithm.rs256, .es256, .edDSA].filter { CommandLine.arguments.contains($0.rawValue) }
        for algorithm in chosen.isEmpty ? [.rs256, .es256, .edDSA] : chosen { try measure(algorithm) }
    }

    static func measure(_ algorithm: SigningAlgorithm) throws {
        let mint = try TokenMint(issuer: "https://issuer.example.com", algorithm: algorithm, keyID: "2026-11")
        let text = try mint.token(
            subject: "auth0|507f1f77bcf86cd799439011", audience: resource, scopes: "read:tasks write:tasks delete:tasks", clientID: "claude-desktop")
        let token = AccessToken(text)
        let requirements = JWTRequirements(issuer: mint.issuer, audiences: [resource], type: .oneOf(["at+jwt"]), leeway: 30)
        let verifier = JWTVerifier(requirements, keys: FixedKeys([mint.key.verificationKey]))
        let caching = CachingVerifier(verifier)
        let now = Clock.system.now
        guard case .accepted = verifier.verify(token, at: now), case .accepted = caching.verify(token, at: now) else { throw Unexpected() }

        let bare = try BareSignature(of: text, algorithm, pem: mint.publicKeyPEM)
        let bytes = token.bytes

        if CommandLine.arguments.contains("profile") {
            for _ in 0..<(CommandLine.arguments.contains("short") ? 2_000 : 200_000) { keep(verifier.verify(token, at: now)) }; return
        }
        let count = algorithm == .rs256 ? 4000 : 1500
        var full: [Double] = [], cached: [Double] = [], perSecond: [Double] = []
        for _ in 0..<21 {
            let plain = time(count) { keep(bare.isValid()) }
            let whole = time(count) { keep(verifier.verify(token, at: now)) }
            let hash = time(40_000) { keep(SHA256.hash(data: bytes)) }
            let hit = time(40_000) { keep(caching.verify(token, at: now)) }
            full.append(plain / whole)
            cached.append(hash / hit)
            perSecond.append(1e9 / whole)
        }
        print(
            #"{"algorithm":"\#(algorithm.rawValue)","full_against_bare":\#(median(full)),"cached_against_hash":\#(median(cached)),"per_second":\#(Int(median(perSecond)))}"#
        )
    }

    private static func time(_ count: Int, _ body: () -> Void) -> Double {
        let start = processNanoseconds()
        for _ in 0..<count { body() }
        return Double(processNanoseconds() - start) / Double(count)
    }
}

/// The signature of a token alone, checked by swift-crypto: whatever a server checks of it, it cannot do with less.
struct BareSignature: Sendable {
    private let check: @Sendable () -> Bool

    init(of token: String, _ algorithm: SigningAlgorithm, pem: String) throws {
        let dot = token.lastIndex(of: ".")!
        let input = Array(token[..<dot].utf8)
        let signature = try Base64URL.decode(String(token[token.index(after: dot)...]))
        switch algorithm {
        case .rs256:
            let key = try _RSA.Signing.PublicKey(pemRepresentation: pem)
            check = {
                key.isValidSignature(
                    _RSA.Signing.RSASignature(rawRepresentation: signature), for: SHA256.hash(data: input), padding: .insecurePKCS1v1_5)
            }
        case .es256:
            let key = try P256.Signing.PublicKey(pemRepresentation: pem)
            check = { (try? P256.Signing.ECDSASignature(rawRepresentation: signature)).map { key.isValidSignature($0, for: input) } ?? false }
        default:
            let key = try Curve25519.Signing.PublicKey(rawRepresentation: Data(base64Encoded: pem.split(separator: "\n")[1].description)!.suffix(32))
            check = { key.isValidSignature(signature, for: input) }
        }
        guard check() else { throw Unexpected() }
    }

    func isValid() -> Bool { check() }
}

struct Unexpected: Error {}

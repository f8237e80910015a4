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

        let dot = text.lastIndex(of: ".")!
        let input = Array(text[..<dot].utf8)
        let signature = try Base64URL.decode(String(text[text.index(after: dot)...]))
        let bare = try bareVerification(mint.publicKeyPEM, algorithm, input, signature)
        let bytes = token.bytes

        if CommandLine.arguments.contains("profile") {
            for _ in 0..<(CommandLine.arguments.contains("short") ? 2_000 : 200_000) { keep(verifier.verify(token, at: now)) }; return
        }
        let count = algorithm == .rs256 ? 4000 : 1500
        var full: [Double] = [], cached: [Double] = [], perSecond: [Double] = []
        for _ in 0..<21 {
            let plain = time(count) { keep(bare()) }
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

    /// The signature alone, by swift-crypto, with the same key and bytes.
    private static func bareVerification(
        _ pem: String, _ algorithm: SigningAlgorithm, _ input: [UInt8], _ signature: [UInt8]
    ) throws -> () -> Bool {
        switch algorithm {
        case .rs256:
            let key = try _RSA.Signing.PublicKey(pemRepresentation: pem)
            return {
                key.isValidSignature(
                    _RSA.Signing.RSASignature(rawRepresentation: signature), for: SHA256.hash(data: input), padding: .insecurePKCS1v1_5)
            }
        case .es256:
            let key = try P256.Signing.PublicKey(pemRepresentation: pem)
            return { (try? P256.Signing.ECDSASignature(rawRepresentation: signature)).map { key.isValidSignature($0, for: input) } ?? false }
        default:
            let key = try Curve25519.Signing.PublicKey(rawRepresentation: Data(base64Encoded: pem.split(separator: "\n")[1].description)!.suffix(32))
            return { key.isValidSignature(signature, for: input) }
        }
    }
}

struct Unexpected: Error {}

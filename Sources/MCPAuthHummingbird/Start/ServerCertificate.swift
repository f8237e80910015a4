package import Foundation
import Hummingbird
import HummingbirdTLS
import Logging
import NIOCertificateReloading
import NIOSSL
package import OAuth
import ServiceLifecycle
import SwiftASN1
import X509

/// The TLS certificate of a server and its private key, as PEM files.
///
/// Both files are read again every ten seconds. New connections use the latest files. Open connections continue. Files
/// that do not fit together, or cannot be read, change nothing and are logged as an error.
public struct ServerCertificate: Sendable {
    /// The path of the certificate chain: the server's own certificate first, then the intermediate certificates.
    public let chain: String
    /// The path of the private key, which must not be encrypted.
    public let key: String

    /// Names the files. They are read when the server starts, or with `Transport.check`.
    public init(chain: String, key: String) {
        self.chain = chain
        self.key = key
    }

    static let refreshInterval = Duration.seconds(10)

    /// The server's own certificate. Throws `invalid_configuration`. The message names the file that cannot be used,
    /// and the reason.
    func read() throws(OAuthError) -> Certificate {
        let text = try Self.text(of: chain, "the certificate")
        let documents = (try? PEMDocument.parseMultiple(pemString: text)) ?? []
        guard let own = documents.first(where: { $0.discriminator == "CERTIFICATE" }), let certificate = try? Certificate(pemDocument: own) else {
            throw OAuthError(
                .invalidConfiguration, "\(chain) does not begin with a certificate in PEM form (-----BEGIN CERTIFICATE-----); use the full chain")
        }
        let keyText = try Self.text(of: key, "the key")
        guard let privateKey = try? NIOSSLPrivateKey(bytes: Array(keyText.utf8), format: .pem) else {
            throw OAuthError(.invalidConfiguration, "\(key) holds no unencrypted private key in PEM form (-----BEGIN PRIVATE KEY-----)")
        }
        let settings = (try? NIOSSLCertificate.fromPEMBytes(Array(text.utf8))).map { chain in
            TLSConfiguration.makeServerConfiguration(certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        }
        guard let settings, (try? NIOSSLContext(configuration: settings)) != nil else { throw notTogether }
        return certificate
    }

    private var notTogether: OAuthError {
        OAuthError(
            .invalidConfiguration,
            "the certificate \(chain) and the key \(key) do not belong together. The key has to be the one that the certificate was issued for")
    }

    private static func text(of path: String, _ what: String) throws(OAuthError) -> String {
        guard FileManager.default.fileExists(atPath: path) else {
            throw OAuthError(.invalidConfiguration, "\(what) \(path) does not exist")
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw OAuthError(.invalidConfiguration, "\(what) \(path) cannot be read by this user")
        }
        return String(decoding: data, as: UTF8.self)
    }

    /// Throws `temporarily_unavailable` when the certificate is not valid now, and `invalid_configuration` when it
    /// cannot be used or is not for a host (RFC 9525 §6.3: subject alternative names, where a wildcard stands for one
    /// label). The issuer is not checked.
    package func check(covers host: String, at now: Date = Date()) throws(OAuthError) {
        let certificate = try read()
        guard certificate.notValidBefore <= now, now < certificate.notValidAfter else {
            throw OAuthError(
                .temporarilyUnavailable,
                "the certificate \(chain) is valid from \(certificate.notValidBefore) to \(certificate.notValidAfter), not now; renew it")
        }
        let names = (try? certificate.extensions.subjectAlternativeNames)??.map { $0 } ?? []
        let isCovered = names.contains { name in
            switch name {
            case .dnsName(let pattern): Self.matches(pattern, host)
            case .ipAddress(let bytes): IPAddress(host).flatMap { IPAddress(bytes: Array(bytes.bytes)) == $0 } ?? false
            default: false
            }
        }
        guard isCovered else {
            let list = names.compactMap { if case .dnsName(let name) = $0 { name } else { nil } }.joined(separator: ", ")
            throw OAuthError(
                .invalidConfiguration,
                "the certificate \(chain) is not for \(host)\(list.isEmpty ? "" : " but for " + list); clients would refuse it. Get one for \(host), or "
                    + "use a host of the certificate in the URL")
        }
    }

    private static func matches(_ pattern: String, _ host: String) -> Bool {
        let (pattern, host) = (pattern.utf8.map(URLBytes.lowercased), host.utf8.map(URLBytes.lowercased))
        guard pattern.starts(with: "*.".utf8) else { return pattern == host }
        guard let dot = host.firstIndex(of: UInt8(ascii: ".")), dot > 0 else { return false }
        return host[dot...].elementsEqual(pattern.dropFirst())
    }

    /// TLS 1.2 with forward secrecy and authenticated encryption, or 1.3 (RFC 9325 §3.1.1, §4.2). Throws
    /// `invalid_configuration`. The message names the file that cannot be used.
    func configuration(_ logger: Logger) throws(OAuthError) -> (TLSConfiguration, any Service) {
        _ = try read()
        do {
            let settings = TimedCertificateReloader.Configuration(
                refreshInterval: Self.refreshInterval, certificateSource: .init(location: .file(path: chain), format: .pem),
                privateKeySource: .init(location: .file(path: key), format: .pem)
            ) { settings in
                settings.onCertificateLoadFailed = { failure in
                    logger.error(
                        "the new certificate cannot be used; the old one goes on",
                        metadata: ["reason": "\("\(failure.error)".replacing("\n", with: " "))"])
                }
            }
            let reloader = try TimedCertificateReloader.makeReloaderValidatingSources(configuration: settings)
            var configuration = try TLSConfiguration.makeServerConfiguration(certificateReloader: reloader)
            configuration.minimumTLSVersion = .tlsv12
            configuration.cipherSuiteValues = [
                .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            ]
            configuration.applicationProtocols = ["http/1.1"]
            return (configuration, Renewal(reloader: reloader))
        } catch {
            throw notTogether
        }
    }

    private struct Renewal: Service {
        let reloader: TimedCertificateReloader

        func run() async throws { try await reloader.run() }
    }
}

/// Tells browsers to use https only (RFC 6797).
struct StrictTransportSecurity<Context: Hummingbird.RequestContext>: RouterMiddleware {
    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        var response: Response
        do { response = try await next(request, context) } catch let error as any HTTPResponseError {
            response = try error.response(from: request, context: context)
        }
        response.headers[.strictTransportSecurity] = "max-age=31536000"
        return response
    }
}

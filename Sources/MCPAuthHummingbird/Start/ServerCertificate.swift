import Hummingbird
import HummingbirdTLS
import Logging
import NIOCertificateReloading
import NIOSSL
import OAuth
import ServiceLifecycle

/// The certificate that a server shows and the key that goes with it, as PEM files.
///
/// Both are read again every ten seconds. New connections get what was read last; those that are open go on. Files that do not fit together, or cannot be
/// read, change nothing, and are said in the log.
public struct ServerCertificate: Sendable {
    /// The server's own certificate first, then those up to the root.
    public let chain: String
    public let key: String

    public init(chain: String, key: String) {
        self.chain = chain
        self.key = key
    }

    static let refreshInterval = Duration.seconds(10)

    /// TLS 1.2 with forward secrecy and authenticated encryption, or 1.3 (RFC 9325 §3.1.1, §4.2). Throws `invalid_configuration` naming what cannot be used.
    func configuration(_ logger: Logger) throws(OAuthError) -> (TLSConfiguration, any Service) {
        do {
            let settings = TimedCertificateReloader.Configuration(
                refreshInterval: Self.refreshInterval, certificateSource: .init(location: .file(path: chain), format: .pem),
                privateKeySource: .init(location: .file(path: key), format: .pem)
            ) { settings in
                settings.onCertificateLoadFailed = { failure in
                    logger.error("the new certificate cannot be used; the old one goes on", metadata: ["reason": "\(failure.error)"])
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
            throw OAuthError(
                .invalidConfiguration,
                "the certificate \(chain) and the key \(key) cannot be used together: \(error). Both are PEM files of this server")
        }
    }

    private struct Renewal: Service {
        let reloader: TimedCertificateReloader

        func run() async throws { try await reloader.run() }
    }
}

/// Tells browsers to come by https only (RFC 6797).
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

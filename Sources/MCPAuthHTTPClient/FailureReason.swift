import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import OAuth

/// Why a request failed, for the one who chose its URL.
///
/// A stranger who chose the URL must not learn it: with the reason, the server would tell which hosts and ports of its
/// network exist (S-04).
enum FailureReason {
    struct TooLarge: Error { let limit: Int }
    struct TooLate: Error {}
    struct NoAddress: Error {}
    struct NotAllowed: Error {}

    /// The host, with the port if the URL names one.
    static func place(_ url: WebURL) -> String { url.hostForURL + (url.port.map { ":\($0)" } ?? "") }

    /// One clause without a full stop. Nil when nothing is known beyond the failure.
    static func text(_ error: any Error, _ url: WebURL, within timeout: Duration) -> String? {
        switch error {
        case is NoAddress, is Resolver.Failed: return "the name has no address; check the spelling, or the DNS of this machine"
        case is NotAllowed: return "its address is not public; for a server of your own network set allowPrivateNetworks"
        case let error as TooLarge: return "the response is longer than \(error.limit) bytes"
        case is TooLate: return "no answer within \(timeout.components.seconds) seconds"
        case let error as NIOSSLError: return text(error, url)
        case is NIOSSLExtraError: return "its certificate is for another name; use the name that it was issued for"
        case let error as NIOConnectionError:
            return error.connectionErrors.compactMap { text($0.error, url, within: timeout) }.first ?? refused(url)
        case let error as IOError:
            return error.errnoCode == ECONNREFUSED ? refused(url) : error.errnoCode == ECONNRESET ? ended(url) : nil
        case let error as HTTPClientError: return text(error, url)
        case is HTTPParserError: return "the answer is not HTTP\(otherScheme(url, "https"))"
        default: return nil
        }
    }

    private static func text(_ error: HTTPClientError, _ url: WebURL) -> String? {
        switch error {
        case .connectTimeout, .tlsHandshakeTimeout, .httpProxyHandshakeTimeout: "no connection could be made in time"
        case .deadlineExceeded, .readTimeout, .getConnectionFromPoolTimeout: "no answer in time"
        case .remoteConnectionClosed, .uncleanShutdown: ended(url)
        case .invalidProxyResponse, .proxyAuthenticationRequired: "the proxy refused the request"
        default: nil
        }
    }

    private static func text(_ error: NIOSSLError, _ url: WebURL) -> String? {
        switch error {
        case .handshakeFailed(let failure):
            let words = "\(failure)"
            if words.contains("CERTIFICATE_VERIFY_FAILED") {
                return "its certificate is not trusted here (expired, or of an unknown authority); "
                    + "name the authority's PEM file in SSL_CERT_FILE"
            }
            if ["WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"].contains(where: words.contains) {
                return "what answers there does not speak TLS\(otherScheme(url, "http"))"
            }
            return "the TLS handshake failed"
        case .unableToValidateCertificate: return "its certificate is for another name; use the name that it was issued for"
        case .uncleanShutdown: return ended(url)
        default: return "the TLS handshake failed"
        }
    }

    private static func refused(_ url: WebURL) -> String { "nothing accepts connections on port \(url.effectivePort). Is the server running?" }

    private static func ended(_ url: WebURL) -> String { "the connection was closed without an answer\(otherScheme(url, "https"))" }

    /// The same place with the other scheme, if the URL does not have that scheme already.
    private static func otherScheme(_ url: WebURL, _ scheme: String) -> String {
        url.isSecure == (scheme == "https") ? "" : "; did you mean \(scheme)://\(place(url))\(url.path)?"
    }
}

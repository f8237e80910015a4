import Foundation
import HTTPTypes
import OAuth
import Testing

@testable import MCPAuthHTTPClient

@Suite("The way out through a proxy")
struct OutboundRouteTests {
    /// An authority of which no key is kept.
    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBiDCCAS+gAwIBAgIUeg5HLjNnG+RCYmcTQft8e+sjlokwCgYIKoZIzj0EAwIw
        GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTI2MTYzNDU4WhgPMjEy
        NjExMDIxNjM0NThaMBkxFzAVBgNVBAMMDlRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
        zj0CAQYIKoZIzj0DAQcDQgAEdKT8bt+gdlMkw+5rvdZqrL+QDCx6Ei+C/gKT1LI6
        i//tUYEtJeSnnA+aJd7ninf5Rf1wbjJIPWcg6KTtOQT2OKNTMFEwHQYDVR0OBBYE
        FH4ho8bCJZbnWmb8+UPZ9OHMvZjmMB8GA1UdIwQYMBaAFH4ho8bCJZbnWmb8+UPZ
        9OHMvZjmMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIhAJmze7Xw
        R4oJOjt6G9892kmfmAuJqOwYGEAuqOfx+x4nAh90/USOg2B+HM1RgbTiSISvc7E1
        gaGA0AjdDdZbuGu8
        -----END CERTIFICATE-----
        """

    @Test("HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE are read, in both spellings")
    func environment() throws {
        let authorities = FileManager.default.temporaryDirectory.appending(path: "authorities-\(UUID().uuidString).pem")
        defer { try? FileManager.default.removeItem(at: authorities) }
        try Self.certificate.write(to: authorities, atomically: true, encoding: .utf8)
        let route = try OutboundRoute(environment: [
            "HTTPS_PROXY": "http://proxy.acme.example:3128", "NO_PROXY": "internal.example, .corp.example,*.lab.example",
            "SSL_CERT_FILE": authorities.path,
            "HTTP_PROXY": "http://evil.example",
        ])
        #expect(route.proxy?.text == "http://proxy.acme.example:3128" && route.certificateAuthorities == authorities.path)
        for (url, goes) in [
            ("https://login.example.com/keys", true), ("https://internal.example/keys", false), ("https://a.internal.example/", false),
            ("https://notinternal.example/", true), ("https://x.corp.example/", false), ("https://y.lab.example/", false),
            ("http://127.0.0.1:8000/", false), ("https://93.184.216.34/", false),
        ] { #expect(route.usesProxy(for: try #require(WebURL(url))) == goes, "\(url)") }
        #expect(try OutboundRoute(environment: ["https_proxy": "proxy.example:8080"]).proxy?.text == "http://proxy.example:8080")
        #expect(try OutboundRoute(environment: ["HTTPS_PROXY": ""]) == OutboundRoute())
        #expect(try OutboundRoute(environment: ["HTTPS_PROXY": "proxy.example:8080", "NO_PROXY": "a.example, *"]).proxy == nil)
    }

    @Test("SSL_CERT_FILE without certificates is named, so that the server does not start with connections that all fail")
    func wrongAuthorities() throws {
        for path in ["/nowhere/authorities.pem", "/dev/null"] {
            let error = #expect(throws: OAuthError.self) { try OutboundRoute(environment: ["SSL_CERT_FILE": path]) }
            #expect(error?.code == .invalidConfiguration && error?.message.contains("SSL_CERT_FILE: \(path) has no certificates") == true)
        }
    }

    @Test(
        "a proxy that cannot be one is named",
        arguments: ["https://proxy.example", "http://user:secret@proxy.example", "socks5://proxy.example", "http://p/x"])
    func wrong(_ text: String) {
        let error = #expect(throws: OAuthError.self) { try OutboundRoute(environment: ["HTTPS_PROXY": text]) }
        #expect(error?.message.contains("such as http://proxy.example.com:3128") == true && error?.message.contains("secret") == false)
    }

    @Test("S-15: with a proxy, the policy still forbids http, and addresses that are written out")
    func policy() async throws {
        let client = GuardedHTTPClient(route: OutboundRoute(proxy: WebURL("http://127.0.0.1:1")))
        for url in ["http://login.example.com/", "https://169.254.169.254/latest", "https://10.0.0.1/", "https://127.0.0.1/"] {
            let error = await #expect(throws: OAuthError.self) { try await client.fetch(OutboundRequest(.get, try #require(WebURL(url)))) }
            #expect(error?.message.contains("is not allowed") == true, "\(url)")
        }
        await client.shutdown()
    }
}

import OAuth
import Testing

@Suite("Identifiers: illegal values cannot exist")
struct IdentifierTests {
    @Test(
        "URLs that everybody reads the same way",
        arguments: [
            "https://example.com", "https://example.com/", "https://example.com/a/b?c=d%20e#f", "http://127.0.0.1:8000/mcp", "http://[::1]:1/x",
            "https://a-b.example:65535/~x",
        ])
    func goodURLs(_ text: String) { #expect(WebURL(text)?.text == text) }

    @Test(
        "SF-8, S-01: URLs that parsers disagree about",
        arguments: [
            #"https://example.com\@evil.com/"#, "http://localhost:8090%25@example.com", "https://ⓔxample.com", "https://①②⑦.0.0.1",
            "https://example.com:99999/",
            "https://[fe80::1%25lo]/", "https://example.com:0/", "https://example.com:080/", "https://example.com:+80/", "https://example.com:/",
            "https:example.com",
            "https:/example.com", "https://", "https:///x", "https://user@example.com", "https://a b.com", "https://example.com/%zz",
            "https://example.com/\u{0}",
            "https://example.com\t/", " https://example.com", "https://example.com/\n", "https://127.1/", "https://0x7f.1/", "https://2130706433/",
            "https://0177.0.0.1/",
            "https://example..com", "https://-a.com", "https://example.com.", "https://example.com/é", "https://example.com/\u{301}",
            "ftp://example.com", "javascript:alert(1)",
            "https://[::1", "https://[::g]/", "https://1.2.3.4.5/", "https://256.1.1.1/",
        ])
    func badURLs(_ text: String) { #expect(WebURL(text) == nil) }

    @Test(
        "an issuer is https without query and fragment; http is for loopback",
        arguments: [
            ("https://as.example", true), ("https://as.example/tenant/", true), ("http://localhost:9000", true), ("http://127.0.0.1:8000", true),
            ("http://as.example", false), ("https://as.example?x", false), ("https://as.example#x", false), ("http://localhost.evil.lab", false),
            ("", false),
        ])
    func issuers(_ text: String, _ isValid: Bool) { #expect(((try? Issuer(text)) != nil) == isValid) }

    @Test(
        "the URL of a metadata document is no issuer; the error names the one that was meant",
        arguments: [
            ("https://id.example/.well-known/oauth-authorization-server", "https://id.example"),
            ("https://id.example/.well-known/openid-configuration/acme", "https://id.example/acme"),
            ("https://id.example/acme/.well-known/openid-configuration", "https://id.example/acme"),
        ])
    func metadataURL(_ text: String, _ meant: String) {
        #expect { try Issuer(text) } throws: { ($0 as? OAuthError)?.message.hasSuffix("probably \(meant)") == true }
    }

    @Test("R19: where an issuer's metadata may be, in order")
    func metadataURLs() throws {
        #expect(
            try Issuer("https://a.example").metadataURLs == [
                "https://a.example/.well-known/oauth-authorization-server", "https://a.example/.well-known/openid-configuration",
            ])
        #expect(
            try Issuer("https://a.example/t1/").metadataURLs == [
                "https://a.example/.well-known/oauth-authorization-server/t1", "https://a.example/.well-known/openid-configuration/t1",
                "https://a.example/t1/.well-known/openid-configuration",
            ])
    }

    @Test(
        "R2, R39: where a resource's metadata is",
        arguments: [
            ("https://rs.example/mcp", "https://rs.example/.well-known/oauth-protected-resource/mcp"),
            ("https://rs.example", "https://rs.example/.well-known/oauth-protected-resource"),
            ("https://rs.example/", "https://rs.example/.well-known/oauth-protected-resource"),
            ("http://127.0.0.1:8000/mcp?t=1", "http://127.0.0.1:8000/.well-known/oauth-protected-resource/mcp?t=1"),
        ])
    func resourceMetadata(_ resource: String, _ expected: String) throws { #expect(try ResourceIdentifier(resource).metadataURL == expected) }

    @Test("J-24, SF-10: scope tokens are split on U+0020 and nothing else")
    func scopes() {
        #expect(ScopeSet("read write") == ["read", "write"] && ScopeSet("write read") == ["read", "write"])
        for bad in ["read\tadmin", "read\u{A0}admin", "read \u{301}admin", "a  b", " a", "a\"b", "a\\b", "é"] {
            #expect(ScopeSet(bad) == nil, "\(bad)")
        }
        #expect(ScopeSet(lenient: "read\tadmin") == [] && ScopeSet(lenient: "read \u{301}admin write") == ["read", "write"])
        #expect(ScopeSet(lenient: "readwrite").contains("read") == false)
    }

    @Test(
        "S-04: addresses that nobody outside may name",
        arguments: [
            "127.0.0.1", "0.0.0.0", "10.1.2.3", "100.64.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "192.0.0.1",
            "198.18.0.1", "192.0.2.1",
            "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
            "::127.0.0.1", "64:ff9b::7f00:1",
            "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2001::1", "2001:db8::1", "2607:f8b0::5efe:7f00:1", "2607:f8b0::200:5efe:7f00:1", "fc00::1",
            "fd00:ec2::254", "fe80::1", "ff02::1", "100::1",
            "3fff::1",
        ])
    func specialAddresses(_ text: String) throws { #expect(try !#require(IPAddress(text)).isPublic) }

    @Test("ordinary addresses", arguments: ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "172.32.0.1", "100.128.0.1", "2607:f8b0:4004::200e"])
    func publicAddresses(_ text: String) throws { #expect(try #require(IPAddress(text)).isPublic) }

    @Test(
        "addresses have one spelling",
        arguments: [
            "127.1", "0x7f.0.0.1", "0177.0.0.1", "1.2.3", "1.2.3.4.", "1.2.3.256", ":1", "1:", ":::", "1::2::3", "::1%lo", "12345::", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "", "::1.2.3",
        ])
    func badAddresses(_ text: String) { #expect(IPAddress(text) == nil) }
}

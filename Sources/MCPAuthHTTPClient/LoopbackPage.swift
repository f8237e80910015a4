import Crypto
import JOSE

/// The hash by which a content security policy allows one style sheet (CSP 3 §2.3.1).
enum LoopbackPage {
    static func hash(of text: String) -> String { Base64.encode(Array(SHA256.hash(data: Array(text.utf8)))) }
}

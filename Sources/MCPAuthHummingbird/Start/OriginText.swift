import Foundation
import OAuth

/// The text of an origin, as operators write it.
package enum OriginText {
    /// What a text has that an origin has not, in a sentence. Nil for an origin.
    package static func problem(_ text: String) -> String? {
        guard let url = WebURL(text) else {
            guard let colon = text.range(of: "://") else { return "Yours lacks https:// or http:// in front." }
            return ["http", "https"].contains(text[..<colon.lowerBound]) ? "Yours is no URL." : "Yours does not begin with https:// or http://."
        }
        if url.origin.utf8.elementsEqual(text.utf8) { return nil }
        if text.utf8.elementsEqual((url.origin + "/").utf8) { return "Yours ends with a slash: remove it." }
        if url.path.utf8.count > 1 || url.query != nil || url.fragment != nil { return "Yours goes on after the host: use \(url.origin)" }
        return "Write yours as \(url.origin)"
    }
}

import HTTPTypes
import OAuth

/// A language of the pages. The configuration can change the texts of existing languages, and add languages.
public struct PageLanguage: Sendable, Hashable {
    /// A language tag (BCP 47), such as `en` or `pt-BR`.
    public let tag: String
    /// The texts of all pages in this language.
    public var words: PageWords

    /// A language. Neither the tag nor the texts are checked: a text without its placeholder omits the value.
    public init(tag: String, words: PageWords) {
        self.tag = tag
        self.words = words
    }

    /// The English texts, with the tag `en`.
    public static let english = PageLanguage(tag: "en", words: PageWords())

    /// The language tags of `ui_locales` or `Accept-Language`, in their order, at most eight. Quality values are
    /// ignored, because browsers write the preferred language first.
    static func tags(_ text: String, separator: UInt8) -> [String] {
        text.utf8.prefix(256).split(separator: separator).prefix(8).map { part in
            String(decoding: part.prefix { $0 != UInt8(ascii: ";") }.filter { $0 != 0x20 }.map(URLBytes.lowercased), as: UTF8.self)
        }
    }

    /// Whether this language fits a requested tag: the same tag, or the same primary subtag.
    func suits(_ wanted: String) -> Bool {
        func primary(_ tag: String) -> [UInt8] { tag.utf8.prefix { $0 != UInt8(ascii: "-") }.map(URLBytes.lowercased) }
        return primary(tag) == primary(wanted)
    }
}

extension AuthorizationServerConfiguration {
    /// The language for a request: the client's `ui_locales`, otherwise the browser's `Accept-Language`, otherwise the
    /// first one.
    func language(_ locales: [String], _ request: HTTPRequest?) -> PageLanguage { PageLanguage.choose(from: languages, locales, request) }
}

extension PageLanguage {
    /// The language for a request: the client's `ui_locales`, otherwise the browser's `Accept-Language`, otherwise the
    /// first one.
    static func choose(from languages: [PageLanguage], _ locales: [String], _ request: HTTPRequest?) -> PageLanguage {
        let wanted = locales + PageLanguage.tags(request?.headerFields[.acceptLanguage] ?? "", separator: UInt8(ascii: ","))
        for tag in wanted {
            if let language = languages.first(where: { URLBytes.equalIgnoringCase($0.tag, tag) }) ?? languages.first(where: { $0.suits(tag) }) {
                return language
            }
        }
        return languages[0]
    }
}

extension String {
    /// The text with values in place of `{0}`, `{1}`.
    func with(_ values: String...) -> String {
        values.enumerated().reduce(self) { text, value in text.replacing("{\(value.offset)}", with: value.element) }
    }

    /// The parts before and after `{0}`, for a value that is emphasized.
    func around() -> (before: String, after: String) {
        guard let range = firstRange(of: "{0}") else { return (self, "") }
        return (String(self[..<range.lowerBound]), String(self[range.upperBound...]))
    }
}

import HTTPTypes
import OAuth

/// A language that the pages speak. Those there are can be changed, and others added, in the configuration.
public struct PageLanguage: Sendable, Hashable {
    /// A language tag (BCP 47), such as `en` or `pt-BR`.
    public let tag: String
    public var words: PageWords

    public init(tag: String, words: PageWords) {
        self.tag = tag
        self.words = words
    }

    public static let english = PageLanguage(tag: "en", words: PageWords())

    /// The tags of `ui_locales` or of `Accept-Language`, in their order; quality values are not looked at, since
    /// browsers write the best first.
    static func tags(_ text: String, separator: UInt8) -> [String] {
        text.utf8.prefix(256).split(separator: separator).prefix(8).map { part in
            String(decoding: part.prefix { $0 != UInt8(ascii: ";") }.filter { $0 != 0x20 }.map(URLBytes.lowercased), as: UTF8.self)
        }
    }

    /// Whether this is a language that a tag asks for: the same, or of the same primary subtag.
    func suits(_ wanted: String) -> Bool {
        func primary(_ tag: String) -> [UInt8] { tag.utf8.prefix { $0 != UInt8(ascii: "-") }.map(URLBytes.lowercased) }
        return primary(tag) == primary(wanted)
    }
}

extension AuthorizationServerConfiguration {
    /// The language for a request: what the client asked for, else what the browser asks for, else the first.
    func language(_ locales: [String], _ request: HTTPRequest?) -> PageLanguage { PageLanguage.choose(from: languages, locales, request) }
}

extension PageLanguage {
    /// The language for a request: what the client asked for, else what the browser asks for, else the first.
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
    /// With what stands for `{0}`, `{1}` put in.
    func with(_ values: String...) -> String {
        values.enumerated().reduce(self) { text, value in text.replacing("{\(value.offset)}", with: value.element) }
    }

    /// The pieces before and after `{0}`, for where something stands out.
    func around() -> (before: String, after: String) {
        guard let range = firstRange(of: "{0}") else { return (self, "") }
        return (String(self[..<range.lowerBound]), String(self[range.upperBound...]))
    }
}

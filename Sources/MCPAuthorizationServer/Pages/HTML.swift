/// A piece of HTML. Text and attribute values are escaped scalar by scalar, so no combining mark can carry a quote or
/// an angle bracket through.
struct HTML: Sendable {
    let source: String

    private init(source: String) { self.source = source }

    static let empty = HTML(source: "")

    /// Text, escaped.
    static func text(_ text: String) -> HTML { HTML(source: escape(text)) }

    /// An element. Names come from source code only; values may come from anywhere.
    static func tag(_ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:], @HTMLBuilder _ content: () -> HTML = { .empty })
        -> HTML
    {
        HTML(source: "<\(name)\(list(attributes))>\(content().source)</\(name)>")
    }

    /// An element without content.
    static func void(_ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:]) -> HTML {
        HTML(source: "<\(name)\(list(attributes))>")
    }

    /// The same with attributes that are put together.
    static func void(_ name: StaticString, _ attributes: [(StaticString, String)]) -> HTML {
        HTML(source: "<\(name)" + attributes.map { " \($0.0)=\"\(escape($0.1))\"" }.joined() + ">")
    }

    static func joined(_ parts: [HTML]) -> HTML { HTML(source: parts.map(\.source).joined()) }

    /// The whole document.
    var document: [UInt8] { Array("<!doctype html>\n\(source)\n".utf8) }

    private static func list(_ attributes: KeyValuePairs<StaticString, String>) -> String {
        attributes.map { name, value in " \(name)=\"\(escape(value))\"" }.joined()
    }

    private static func escape(_ text: String) -> String {
        var output = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": output.append(contentsOf: "&amp;".unicodeScalars)
            case "<": output.append(contentsOf: "&lt;".unicodeScalars)
            case ">": output.append(contentsOf: "&gt;".unicodeScalars)
            case "\"": output.append(contentsOf: "&quot;".unicodeScalars)
            case "'": output.append(contentsOf: "&#39;".unicodeScalars)
            case "`": output.append(contentsOf: "&#96;".unicodeScalars)
            case "\0": break
            default: output.append(scalar)
            }
        }
        return String(output)
    }
}

@resultBuilder
enum HTMLBuilder {
    static func buildBlock(_ parts: HTML...) -> HTML { .joined(parts) }
    static func buildOptional(_ part: HTML?) -> HTML { part ?? .empty }
    static func buildEither(first: HTML) -> HTML { first }
    static func buildEither(second: HTML) -> HTML { second }
    static func buildArray(_ parts: [HTML]) -> HTML { .joined(parts) }
    static func buildExpression(_ part: HTML) -> HTML { part }
    static func buildExpression(_ text: String) -> HTML { .text(text) }
}

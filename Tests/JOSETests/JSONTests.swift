import JOSE
import Testing

@Suite("JSON, read strictly")
struct JSONTests {
    @Test("JSONTestSuite: every y_ text is read, every n_ text is refused, no i_ text ends the process", .needsVectors)
    func testSuite() throws {
        let names = Vectors.files(in: "json-test-suite/test_parsing")
        #expect(names.count > 300)
        for name in names {
            let isRead = (try? JSONDocument(parsing: Vectors.read("json-test-suite/test_parsing/" + name)))?.root.value != nil
            if name.hasPrefix("y_") { #expect(isRead == !Self.stricterThanTheSuite.contains(name), "\(name)") }
            if name.hasPrefix("n_") { #expect(!isRead, "\(name)") }
        }
    }

    /// RFC 8259 §4 leaves duplicate names open; here they are refused, because two readers would see two values
    /// (requirement 137).
    static let stricterThanTheSuite: Set<String> = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"]

    @Test(
        "W-06, J-12, 137: two members of one name are refused, however they are written",
        arguments: [
            #"{"a":1,"a":1}"#, #"{"aud":1,"\u0061ud":2}"#, "{\"caf\u{E9}\":1,\"cafe\u{301}\":2}", #"{"K":1,"\u212A":2}"#,
            #"{"x":{"b":1,"c":2,"b":3}}"#,
            "{" + (0..<40).map { "\"k\($0)\":0," }.joined() + "\"k7\":1}",
        ])
    func duplicates(_ text: String) {
        #expect(throws: JOSEError.self) { try JSONDocument(parsing: text) }
    }

    @Test("W-06, 137: of many names of every shape, each is found with its own value, none that is not there is, and none may come twice")
    func names() throws {
        var chance = SystemRandomNumberGenerator()
        let alphabet = Array("abcxyz_")
        func name() -> String { String((0..<Int.random(in: 0...5, using: &chance)).map { _ in alphabet.randomElement(using: &chance)! }) }
        for _ in 0..<300 {
            let names = Array(Set((0..<Int.random(in: 1...40, using: &chance)).map { _ in name() }))
            let members = names.enumerated().map { "\"\($1)\":\($0)" }
            let document = try JSONDocument(parsing: "{" + members.joined(separator: ",") + "}")
            for (value, name) in names.enumerated() { #expect(document.root[name]?.number?.int64 == Int64(value)) }
            let absent = name()
            if !names.contains(absent) { #expect(document.root[absent] == nil) }
            let again = names.randomElement()!
            let escaped = again.unicodeScalars.map { "\\u00" + String($0.value, radix: 16) }.joined()
            for twice in [again, escaped] {
                var doubled = members
                doubled.insert("\"\(twice)\":-1", at: Int.random(in: 0...members.count))
                #expect(throws: JOSEError.self) { try JSONDocument(parsing: "{" + doubled.joined(separator: ",") + "}") }
            }
        }
    }

    @Test(
        "W-06: texts that lax readers take",
        arguments: [
            "[1,]", "\u{FEFF}{}", "{'a':1}", "[NaN]", "[01]", "[+1]", "[1.]", "[.5]", "{\"a\":1}x", "[\"\\ud800\"]", "[\"\\x41\"]", "\"\u{0}\"", "",
            " ",
            "[\"a\tb\"]", "// c\n1", "nul", "tru", "[1 2]",
        ])
    func lax(_ text: String) {
        #expect(throws: JOSEError.self) { try JSONDocument(parsing: text) }
    }

    @Test(
        "W-06: other encodings and broken UTF-8",
        arguments: [
            [0xFF, 0xFE, 0x31, 0x00], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
            [0x22, 0xE2, 0x82, 0x22],
            [0x22, 0x80, 0x22], [0x22, 0xC3],
        ] as [[UInt8]])
    func encodings(_ bytes: [UInt8]) {
        #expect(throws: JOSEError.self) { try JSONDocument(parsing: bytes) }
    }

    @Test(
        "W-05: numbers beyond Swift's types are kept as text and never trap",
        arguments: [
            ("1e300", nil, 1e300), ("1e400", nil, nil), ("9223372036854775807", .max, 0x1p63), ("9223372036854775808", nil, 9223372036854775808),
            ("-0", 0, -0.0), ("1.0", 1, 1), ("1e3", 1000, 1000), ("1.5", nil, 1.5), ("-9223372036854775808", .min, -9223372036854775808),
            ("99999999999999999999", nil, 1e20),
        ] as [(String, Int64?, Double?)])
    func numbers(_ text: String, _ integer: Int64?, _ double: Double?) throws {
        let number = try #require(try JSONDocument(parsing: "[\(text)]").root.array?.first?.number)
        #expect(number.int64 == integer)
        #expect(number.double == double)
        #expect(number.description == text)
    }

    @Test("N-07: depth, length of numbers and size are bounded")
    func limits() {
        #expect(throws: JOSEError.self) { try JSONDocument(parsing: String(repeating: "[", count: 100_000)) }
        #expect(throws: JOSEError.self) { try JSONDocument(parsing: String(repeating: "1", count: 1_000_000)) }
        #expect(throws: JOSEError.self) { try JSONDocument(parsing: "[1,2,3]", limits: JSONLimits(maximumBytes: 4)) }
        #expect(throws: Never.self) { try JSONDocument(parsing: String(repeating: "[", count: 64) + String(repeating: "]", count: 64)) }
        #expect(throws: JOSEError.self) { try JSONDocument(parsing: String(repeating: "[", count: 65) + String(repeating: "]", count: 65)) }
    }

    @Test("types are never converted")
    func types() throws {
        let root = try JSONDocument(parsing: #"{"t":true,"n":1,"s":"1","z":null,"a":["x",1]}"#).root
        #expect(root["t"]?.number == nil && root["n"]?.bool == nil && root["s"]?.number == nil)
        #expect(root["z"]?.isNull == true && root["missing"] == nil && root["a"]?.strings == nil)
    }

    @Test("W-01, SF-1: values compare by bytes")
    func bytewise() {
        #expect(JSONValue.string("caf\u{E9}") != .string("cafe\u{301}"))
        var object = JSONObject()
        object["caf\u{E9}"] = 1
        object["cafe\u{301}"] = 2
        #expect(object.count == 2 && object["caf\u{E9}"] == 1)
    }

    @Test("what is written is read back, on one line, whatever it holds")
    func roundTrip() throws {
        let value: JSONValue = [
            "s": "a\"\\\n\r\t\u{0}\u{1B}\u{7F}\u{85}\u{2028}é😀e\u{301}", "n": [1, true, nil, .number(JSONNumber(1.5)!)], "o": [:],
        ]
        let text = value.serialized
        #expect(!text.contains { $0 < 0x20 || $0 == 0x7F })
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test("every character is written right, wherever in a text it stands")
    func everyCharacter() throws {
        for scalar in (0...0x2FF).compactMap(Unicode.Scalar.init) + ["\u{2028}", "\u{2029}", "\u{FFFD}", "\u{1F600}"] {
            for (before, after) in [(0, 0), (0, 7), (3, 4), (7, 0), (7, 8), (8, 3), (15, 20)] {
                let string = String(repeating: "a", count: before) + String(Character(scalar)) + String(repeating: "b", count: after)
                let text = JSONValue.string(string).serialized
                let escaped = scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) || scalar == "\u{2028}" || scalar == "\u{2029}"
                let isAsItIs = text.count == string.utf8.count + 2
                #expect(isAsItIs == !(escaped || scalar == "\"" || scalar == "\\"), "\(scalar.value) after \(before)")
                #expect(try JSONValue(parsing: text) == .string(string), "\(scalar.value) after \(before)")
            }
        }
    }
}

@Suite("base64url, read strictly")
struct Base64URLTests {
    @Test("round trip of every length", arguments: 0..<70)
    func roundTrip(_ count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ count) }
        #expect(try Base64URL.decode(Base64URL.encode(bytes)) == bytes)
    }

    @Test(
        "J-13: nothing but the canonical text is taken",
        arguments: [
            "QQ==", "QQ=", "QR", "QUJ", "Q", "QUJDR", "Q+", "Q/", "QU JD", "QUJD\n", " QUJD", "QUJ\u{301}D", "QÉ", "QUI9", "Zm9",
        ])
    func lax(_ text: String) {
        if text == "QUI9" {
            #expect(throws: Never.self) { try Base64URL.decode(text) }
        } else {
            #expect(throws: JOSEError.self) { try Base64URL.decode(text) }
        }
    }

    @Test("one text for each sequence of bytes: whatever is read is written the very same, and everything else is refused")
    func canonical() throws {
        for length in 0...17 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255) }
            let text = Base64URL.encode(bytes)
            #expect(try Base64URL.decode(text) == bytes)
            for position in text.utf8.indices {
                for byte in UInt8(0x20)...0x7E {
                    let changed = String(decoding: text.utf8[..<position] + [byte] + text.utf8[text.utf8.index(after: position)...], as: UTF8.self)
                    if let decoded = try? Base64URL.decode(changed) { #expect(Base64URL.encode(decoded) == changed, "\(changed)") }
                }
            }
        }
    }
}

import JOSE

/// Translates results for earlier revisions: `resource_link` exists since 2025-06-18, `audio` since 2025-03-26. An
/// older client would reject the whole result, so it receives such content as text.
enum EarlierRevisions {
    /// - Parameter result: The result of `tools/call` or `prompts/get`. Every other result is returned unchanged.
    static func translate(_ result: JSONObject, for version: String) -> JSONObject {
        guard let age = ProtocolVersion.handshake.firstIndex(of: version), age > 1 else { return result }
        var result = result
        if let content = result["content"]?.array { result["content"] = .array(content.map { piece($0, version) }) }
        if let messages = result["messages"]?.array {
            result["messages"] = .array(
                messages.map { message in
                    guard var object = message.object, let content = object["content"] else { return message }
                    object["content"] = piece(content, version)
                    return .object(object)
                })
        }
        return result
    }

    private static func piece(_ content: JSONValue, _ version: String) -> JSONValue {
        switch content["type"]?.string {
        case "resource_link": text("\(content["name"]?.string ?? ""): \(content["uri"]?.string ?? "")")
        case "audio" where version == "2024-11-05": text("(audio, \(content["mimeType"]?.string ?? ""))")
        default: content
        }
    }

    private static func text(_ text: String) -> JSONValue { ["type": "text", "text": .string(text)] }
}

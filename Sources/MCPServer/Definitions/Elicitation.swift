import JOSE

/// Something that only the user can do, which the client shows during a call (MCP, "Elicitation").
public struct Elicitation: Sendable, Hashable {
    /// The reason, in words for the user.
    public let message: String
    /// The page to open in a browser.
    public let url: String
    /// Identifies it in the answer of the client.
    let key: String

    /// A page that the user opens in a browser.
    ///
    /// The page must check that the user who opens it is the user of the call, because links are passed on. The URL
    /// must not contain anything that signs in, and no credential may be returned to the client (requirements 80 and
    /// 81).
    public static func url(_ url: String, message: String) -> Elicitation { Elicitation(message: message, url: url, key: "url") }

    init(message: String, url: String, key: String) {
        self.message = message
        self.url = url
        self.key = key
    }

    /// The parameters of `elicitation/create`, without the identifier of earlier revisions.
    var parameters: JSONObject { ["mode": "url", "message": .string(message), "url": .string(url)] }
}

/// What a client can show during a call, and what its user answered.
struct ClientElicitation: Sendable {
    /// The decision of a user about one elicitation.
    enum Action: String, Sendable { case accept, decline, cancel }

    /// Whether the client opens URLs.
    var opensURLs = false
    /// The answers that a repeated call of the stateless revision carries, by key.
    var answers: [String: Action] = [:]

    static let none = ClientElicitation()

    /// Whether capabilities name URL mode. An empty `elicitation` means forms only.
    static func namesURLs(_ capabilities: JSONValue?) -> Bool { capabilities?["elicitation"]?["url"]?.object != nil }

    /// Reads the answers of a repeated call. Throws `invalid_params` for a shape that the revision does not have.
    static func answers(_ params: JSONValue) throws(RPCError) -> [String: Action] {
        guard let value = params["inputResponses"], !value.isNull else { return [:] }
        guard let members = value.object?.members, members.count <= 16 else {
            throw RPCError(.invalidParams, "inputResponses is an object with at most 16 members")
        }
        var answers: [String: Action] = [:]
        for member in members {
            guard let action = member.value["action"]?.string.flatMap(Action.init(rawValue:)) else {
                throw RPCError(.invalidParams, "each of inputResponses has action: accept, decline or cancel")
            }
            answers[member.name] = action
        }
        return answers
    }
}

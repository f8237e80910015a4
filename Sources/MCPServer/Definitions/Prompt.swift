import JOSE
public import MCPAuth

/// A template of messages that a person can pick.
public struct Prompt: Sendable {
    public struct Argument: Sendable, Hashable {
        public let name: String
        public let description: String?
        public let isRequired: Bool

        public init(_ name: String, _ description: String? = nil, isRequired: Bool = true) {
            self.name = name
            self.description = description
            self.isRequired = isRequired
        }
    }

    public struct Message: Sendable, Hashable {
        public enum Role: String, Sendable, Hashable { case user, assistant }
        public let role: Role
        public let content: Content

        public init(_ role: Role, _ content: Content) {
            self.role = role
            self.content = content
        }

        public static func user(_ text: String) -> Message { Message(.user, .text(text)) }
        public static func assistant(_ text: String) -> Message { Message(.assistant, .text(text)) }

        var json: JSONValue { ["role": .string(role.rawValue), "content": content.json] }
    }

    public let name: String
    public let description: String
    public let arguments: [Argument]
    public let requirement: Requirement?
    let make: @Sendable ([String: String], ToolCall) async throws -> [Message]

    public init(
        _ name: String, _ description: String, arguments: [Argument] = [], requires: Requirement? = nil,
        _ make: @escaping @Sendable ([String: String], ToolCall) async throws -> [Message]
    ) {
        self.name = name
        self.description = description
        self.arguments = arguments
        self.requirement = requires
        self.make = make
    }

    var json: JSONValue {
        [
            "name": .string(name), "description": .string(description),
            "arguments": .array(
                arguments.map { argument in
                    var json: JSONObject = ["name": .string(argument.name), "required": .bool(argument.isRequired)]
                    json["description"] = argument.description.map { .string($0) }
                    return .object(json)
                }),
        ]
    }
}

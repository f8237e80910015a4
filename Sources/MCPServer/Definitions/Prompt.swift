import JOSE
public import MCPAuth

/// A template of messages that a user can select.
public struct Prompt: Sendable {
    /// An argument of a prompt. Its value is always a string.
    public struct Argument: Sendable, Hashable {
        /// The name, which the client sends.
        public let name: String
        /// The meaning of the argument, for users. Nil: none.
        public let description: String?
        /// Whether the server rejects a request without this argument.
        public let isRequired: Bool

        /// An argument, required unless `isRequired` is false.
        public init(_ name: String, _ description: String? = nil, isRequired: Bool = true) {
            self.name = name
            self.description = description
            self.isRequired = isRequired
        }
    }

    /// One message of a conversation.
    public struct Message: Sendable, Hashable {
        /// The author of the message.
        public enum Role: String, Sendable, Hashable { case user, assistant }
        /// The author of the message.
        public let role: Role
        /// The content, one item.
        public let content: Content

        /// A message with any content.
        public init(_ role: Role, _ content: Content) {
            self.role = role
            self.content = content
        }

        /// A text message of the user.
        public static func user(_ text: String) -> Message { Message(.user, .text(text)) }
        /// A text message of the assistant.
        public static func assistant(_ text: String) -> Message { Message(.assistant, .text(text)) }

        var json: JSONValue { ["role": .string(role.rawValue), "content": content.json] }
    }

    /// The name, unique among the prompts of a server and compared as bytes.
    public let name: String
    /// The purpose of the prompt, for users.
    public let description: String
    /// The arguments that clients may send.
    public let arguments: [Argument]
    /// The requirement for callers. Nil: the policy's requirement for this prompt.
    public let requirement: Requirement?
    let make: @Sendable ([String: String], ToolCall) async throws -> [Message]

    /// - Parameters:
    ///   - requires: The scopes that the caller needs. Nil: as the policy says.
    ///   - make: Makes the messages from the arguments, which include every required one. If it throws, the client
    ///     receives a general error, and the log receives the error.
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

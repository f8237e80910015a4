public import JOSE
public import Logging
import MCPAuth
public import OAuth

/// An MCP server: its tools, resources and prompts, independent of the transport.
public struct MCPServer: Sendable {
    /// The operations that a list shows to a caller.
    ///
    /// A caller without a token sees the operations that need none, except with `all`.
    public enum Visibility: Sendable, Hashable {
        /// The operations that the caller's token permits, and those that the authorization server could grant this
        /// client. A model sees a tool whose call leads to step-up authorization. Operations that this client cannot be
        /// granted stay hidden.
        case grantable
        /// The operations that the caller's token permits now.
        case permitted
        /// All operations. A call may still need more scopes.
        case all
    }

    /// The name of the server, which clients receive as `serverInfo`.
    public let name: String
    /// The version of the server, which clients receive as `serverInfo`.
    public let version: String
    /// Instructions for the model. Nil: none.
    public var instructions: String?
    /// The operations that lists show. Lists never change what a caller may do.
    public var visibility: Visibility
    /// The number of seconds for which clients may cache lists (`ttlMs`). Lists are private to the caller in any case.
    public var listLifetime: Int
    /// The tools, in the order of the builder.
    public let tools: [Tool]
    /// The resources and templates, in the order of the builder. The first one that matches a URI answers.
    public let resources: [Resource]
    /// The prompts, in the order of the builder.
    public let prompts: [Prompt]
    /// Extensions of the protocol that this server supports, by identifier, with their settings, as `server/discover`
    /// lists them. They change nothing else: a call needs its token in any case.
    public var extensions = JSONObject()
    /// Clients that declare URL elicitation and do not do it, by the name in their `clientInfo` or by their client ID.
    /// Their users get links as text.
    public var clientsWithoutURLElicitation: Set<String> = []
    /// Logs errors that tools, resources and prompts throw, except `ToolError`.
    public var logger = Logger(label: "mcp-auth.server")
    let toolsByName: [[UInt8]: Tool]

    /// A server with the definitions of the builder. `check()` finds mistakes when a transport is created.
    ///
    /// - Parameters:
    ///   - name: The name for clients, such as `tasks`.
    ///   - version: The version for clients.
    ///   - instructions: Instructions for the model.
    ///   - visibility: The operations that lists show.
    ///   - listLifetime: The number of seconds for which clients may cache lists.
    ///   - content: Tools, resources and prompts, also in conditions and loops.
    public init(
        _ name: String, version: String, instructions: String? = nil, visibility: Visibility = .grantable, listLifetime: Int = 0,
        @MCPServerBuilder _ content: () -> [any Sendable]
    ) {
        self.name = name
        self.version = version
        self.instructions = instructions
        self.visibility = visibility
        self.listLifetime = listLifetime
        let parts = content()
        tools = parts.compactMap { $0 as? Tool }
        resources = parts.compactMap { $0 as? Resource }
        prompts = parts.compactMap { $0 as? Prompt }
        toolsByName = Dictionary(tools.map { (Array($0.name.utf8), $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// Finds mistakes in definitions: duplicate names, types without a schema, mistyped scopes, and `.anonymous` on an
    /// operation that needs a principal. Transports call it when they are created.
    ///
    /// Throws `invalid_configuration`. The message names the definition and the fix.
    public func check() throws(OAuthError) {
        for tool in tools {
            for error in [tool.inputSchema.failure, tool.outputSchema.failure].compactMap({ $0 }) {
                throw OAuthError(.invalidConfiguration, "tool \(tool.name): \(error.message)")
            }
            if case .failure(let mistake) = tool.mirroredArguments {
                throw OAuthError(.invalidConfiguration, "tool \(tool.name): \(mistake.message)")
            }
            if let schema = try? tool.inputSchema.get(), schema["type"]?.string != "object" {
                throw OAuthError(.invalidConfiguration, "tool \(tool.name): its input must be a struct, whose properties are the arguments")
            }
        }
        for (what, requirement) in requirements where requirement.scopes.contains(.invalidLiteral) {
            throw OAuthError(
                .invalidConfiguration, "\(what): a scope that it requires is mistyped: scopes are printable ASCII without quotes, separated by spaces"
            )
        }
        for (what, requirement) in requirements where requirement.allowsAnonymous && !what.hasPrefix("open tool ") {
            throw OAuthError(.invalidConfiguration, "\(what) needs a principal, so it cannot be for anybody; Tool.open makes a tool that can")
        }
        for names in [tools.map(\.name), resources.map(\.uri), prompts.map(\.name)] {
            var seen: Set<[UInt8]> = []
            for name in names where !seen.insert(Array(name.utf8)).inserted {
                throw OAuthError(.invalidConfiguration, "\(name) is defined twice; give one of them another name")
            }
        }
    }

    var requirements: [(what: String, requirement: Requirement)] {
        tools.compactMap { tool in tool.requirement.map { ((tool.isOpen ? "open tool " : "tool ") + tool.name, $0) } }
            + resources.compactMap { resource in resource.requirement.map { ("resource " + resource.uri, $0) } }
            + prompts.compactMap { prompt in prompt.requirement.map { ("prompt " + prompt.name, $0) } }
    }

    /// Every scope that a tool, resource or prompt requires.
    public var scopes: ScopeSet {
        ScopeSet(
            (tools.compactMap(\.requirement) + resources.compactMap(\.requirement) + prompts.compactMap(\.requirement)).flatMap { Array($0.scopes) })
    }
}

/// Collects the tools, resources and prompts of an `MCPServer`. Supports conditions and loops.
@resultBuilder
public enum MCPServerBuilder {
    public static func buildExpression(_ tool: Tool) -> [any Sendable] { [tool] }
    public static func buildExpression(_ resource: Resource) -> [any Sendable] { [resource] }
    public static func buildExpression(_ prompt: Prompt) -> [any Sendable] { [prompt] }
    public static func buildBlock(_ parts: [any Sendable]...) -> [any Sendable] { parts.flatMap { $0 } }
    public static func buildOptional(_ part: [any Sendable]?) -> [any Sendable] { part ?? [] }
    public static func buildEither(first: [any Sendable]) -> [any Sendable] { first }
    public static func buildEither(second: [any Sendable]) -> [any Sendable] { second }
    public static func buildArray(_ parts: [[any Sendable]]) -> [any Sendable] { parts.flatMap { $0 } }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}

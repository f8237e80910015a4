public import JOSE
public import Logging
import MCPAuth
public import OAuth

/// An MCP server: its tools, resources and prompts, and nothing of how it is reached.
public struct MCPServer: Sendable {
    /// What a list shows to a caller.
    ///
    /// A caller without a token is shown what is open to everybody, whichever of these is chosen but `all`.
    public enum Visibility: Sendable, Hashable {
        /// What the caller's token permits, and what the authorization server could grant this client: a model sees a
        /// tool whose call leads to step-up authorization. What cannot be granted to this client stays hidden.
        case grantable
        /// What the caller's token may use now.
        case permitted
        /// Everything; using it may still need more.
        case all
    }

    public let name: String
    public let version: String
    public var instructions: String?
    public var visibility: Visibility
    /// Seconds for which clients may keep lists. They are private to the caller in any case.
    public var listLifetime: Int
    public let tools: [Tool]
    public let resources: [Resource]
    public let prompts: [Prompt]
    /// Extensions of the protocol that this server takes part in, by identifier, with their settings: what
    /// `server/discover` says of them. They change nothing else: whatever a client says of extensions, its token is
    /// asked for all the same.
    public var extensions = JSONObject()
    public var logger = Logger(label: "mcp-auth.server")
    let toolsByName: [[UInt8]: Tool]

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

    /// Finds mistakes that only show at run time: names that are there twice, types without a schema. Called when a
    /// transport starts.
    ///
    /// Throws `invalid_configuration` saying which tool, and what to do.
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

    /// Every scope that some tool, resource or prompt asks for.
    public var scopes: ScopeSet {
        ScopeSet(
            (tools.compactMap(\.requirement) + resources.compactMap(\.requirement) + prompts.compactMap(\.requirement)).flatMap { Array($0.scopes) })
    }
}

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

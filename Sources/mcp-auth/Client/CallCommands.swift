import ArgumentParser
import Foundation
import JOSE
import MCPClient
import OAuth

struct ToolsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tools", abstract: "List the tools of an MCP server.",
        discussion: """
            EXAMPLES
              mcp-auth tools https://mcp.example.com/mcp
              mcp-auth tools http://127.0.0.1:8000/mcp --json

            \(ClientFailure.text)
            """)
    @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
    var url: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await ClientContext.run(url, options, asksUser: ClientTerminal.canAsk(options)) { context in
            let client = context.makeClient()
            let tools = try await client.tools()
            await client.close()
            ClientOutput.list(tools, options, empty: "The server has no tools for you.") { tool in
                (tool["name"]?.string ?? "", tool["description"]?.string ?? tool["title"]?.string ?? "")
            }
        }
    }
}

struct CallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call", abstract: "Call a tool of an MCP server.",
        discussion: """
            The arguments are one JSON object, or name=value pairs, whose values become
            what the tool's schema says. A value that begins with @ is read from a file.

            EXAMPLES
              mcp-auth call https://mcp.example.com/mcp create-task text="Buy milk"
              mcp-auth call http://127.0.0.1:8000/mcp create-task '{"text": "Buy milk"}'

            \(ClientFailure.text)
            """)
    @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
    var url: String
    @Argument(help: "The name of the tool.")
    var tool: String
    @Argument(help: ArgumentHelp("A JSON object, or name=value.", valueName: "argument"))
    var arguments: [String] = []
    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await ClientContext.run(url, options, asksUser: ClientTerminal.canAsk(options)) { context in
            let client = context.makeClient()
            let tools = try await client.tools()
            let names = tools.compactMap { $0["name"]?.string }
            let schema = tools.first { $0["name"]?.string == tool }?["inputSchema"]
            // A tool that is not listed may still be there, for users who may do more.
            if schema == nil, !NearestName.hint(tool, among: names).isEmpty {
                await client.close()
                throw OAuthError(
                    .invalidRequest,
                    "the server has no tool \(tool)\(NearestName.hint(tool, among: names)). The tools are: \(names.joined(separator: ", "))")
            }
            let input = try ToolArguments.parse(arguments, schema: schema ?? .null)
            let result: JSONValue
            do { result = try await client.callTool(tool, input) } catch let error as MCPError {
                if schema == nil, error.code == -32602 || error.code == -32601 {
                    throw OAuthError(.invalidRequest, "\(error.message). The tools are: \(names.joined(separator: ", "))")
                }
                throw error
            }
            await client.close()
            let isError = result["isError"]?.bool == true
            if options.json {
                Console.output(result.text)
            } else {
                ClientOutput.content(result)
            }
            if isError {
                if !options.json { Console.problem("the tool reported an error") }
                throw ExitCode.failure
            }
        }
    }
}

struct ResourcesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resources", abstract: "List the resources of an MCP server, or read one.",
        discussion: """
            EXAMPLES
              mcp-auth resources https://mcp.example.com/mcp
              mcp-auth resources https://mcp.example.com/mcp file:///notes/today.md

            \(ClientFailure.text)
            """)
    @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
    var url: String
    @Argument(help: ArgumentHelp("The URI of a resource to read.", valueName: "uri"))
    var uri: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await ClientContext.run(url, options, asksUser: ClientTerminal.canAsk(options)) { context in
            let client = context.makeClient()
            if let uri {
                let result = try await client.readResource(uri)
                if options.json { return Console.output(result.text) }
                for item in result["contents"]?.array ?? [] {
                    Console.output(item["text"]?.string.map(ClientOutput.text) ?? "(\(item["mimeType"]?.string ?? "binary"); --json shows it)")
                }
            } else {
                let items = try await client.resources() + ((try? await client.resourceTemplates()) ?? [])
                ClientOutput.list(items, options, empty: "The server has no resources for you.") { item in
                    (item["uri"]?.string ?? item["uriTemplate"]?.string ?? "", item["description"]?.string ?? item["name"]?.string ?? "")
                }
            }
            await client.close()
        }
    }
}

struct PromptsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prompts", abstract: "List the prompts of an MCP server, or get one.",
        discussion: """
            EXAMPLES
              mcp-auth prompts https://mcp.example.com/mcp
              mcp-auth prompts https://mcp.example.com/mcp plan-day date=2026-11-26

            \(ClientFailure.text)
            """)
    @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
    var url: String
    @Argument(help: "The name of a prompt to get.")
    var name: String?
    @Argument(help: ArgumentHelp("name=value", valueName: "argument"))
    var arguments: [String] = []
    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await ClientContext.run(url, options, asksUser: ClientTerminal.canAsk(options)) { context in
            let client = context.makeClient()
            if let name {
                let result = try await client.prompt(name, try ToolArguments.parse(arguments, schema: .null))
                if options.json { return Console.output(result.text) }
                for message in result["messages"]?.array ?? [] {
                    let text = message["content"]?["text"]?.string ?? "(\(message["content"]?["type"]?.string ?? "content"); --json shows it)"
                    Console.output("\(message["role"]?.string ?? "user"): \(ClientOutput.text(text))")
                }
            } else {
                let prompts = try await client.prompts()
                ClientOutput.list(prompts, options, empty: "The server has no prompts for you.") { item in
                    (item["name"]?.string ?? "", item["description"]?.string ?? "")
                }
            }
            await client.close()
        }
    }
}

enum ClientTerminal {
    /// Whether a user is there who can sign in: at a terminal, or with a browser that was named.
    static func canAsk(_ options: ClientOptions) -> Bool {
        isatty(0) == 1 && isatty(2) == 1 || options.browser != nil || ProcessInfo.processInfo.environment["MCP_AUTH_BROWSER"] != nil
    }
}

/// The arguments of a call on the command line.
enum ToolArguments {
    static func parse(_ arguments: [String], schema: JSONValue) throws(OAuthError) -> JSONValue {
        if arguments.count == 1, arguments[0].utf8.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") {
            do throws(JOSEError) { return try JSONValue(parsing: arguments[0]) } catch {
                throw OAuthError(.invalidRequest, "the arguments are not JSON: \(error.message)")
            }
        }
        var object = JSONObject()
        for argument in arguments {
            guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else {
                throw OAuthError(
                    .invalidRequest, "an argument is name=value, or all of them are one JSON object; this is neither: \(argument.prefix(80))")
            }
            let name = String(argument[..<equals])
            var text = String(argument[argument.index(after: equals)...])
            if text.hasPrefix("@") {
                guard let data = FileManager.default.contents(atPath: String(text.dropFirst())) else {
                    throw OAuthError(.invalidRequest, "\(name): the file \(text.dropFirst()) cannot be read")
                }
                text = String(decoding: data, as: UTF8.self)
            }
            let names = schema["properties"]?.object?.members.map(\.name) ?? []
            // Where a tool takes other arguments too, a name that is nearly one of its own is still a slip.
            if !names.isEmpty, !names.contains(name),
                schema["additionalProperties"]?.bool == false || !NearestName.hint(name, among: names).isEmpty
            {
                throw OAuthError(
                    .invalidRequest,
                    "the tool has no argument \(name)\(NearestName.hint(name, among: names)). The arguments are: \(names.joined(separator: ", "))")
            }
            object[name] = value(text, schema: schema["properties"]?[name] ?? .null)
        }
        let missing = (schema["required"]?.strings ?? []).filter { object[$0] == nil }
        guard missing.isEmpty else {
            let names = schema["properties"]?.object?.members.map(\.name) ?? []
            throw OAuthError(
                .invalidRequest,
                "the tool needs \(missing.joined(separator: ", ")): write \(missing.map { $0 + "=VALUE" }.joined(separator: " ")). "
                    + "Its arguments are: \(names.joined(separator: ", "))")
        }
        return .object(object)
    }

    /// A text as the schema wants it. A text that does not fit stays a text, and the server says what is wrong.
    static func value(_ text: String, schema: JSONValue) -> JSONValue {
        let types = schema["type"]?.string.map { [$0] } ?? schema["type"]?.strings ?? []
        guard !types.contains("string"), let json = try? JSONValue(parsing: text) else {
            if types == ["boolean"] {
                return ["yes", "y"].contains(text.lowercased()) ? true : ["no", "n"].contains(text.lowercased()) ? false : .string(text)
            }
            return .string(text)
        }
        switch json {
        case .number: return types.isEmpty || types.contains("integer") || types.contains("number") ? json : .string(text)
        case .bool: return types.isEmpty || types.contains("boolean") ? json : .string(text)
        case .array: return types.contains("array") ? json : .string(text)
        case .object: return types.contains("object") ? json : .string(text)
        case .null: return types.contains("null") ? json : .string(text)
        case .string: return .string(text)
        }
    }
}

/// What servers answer, for people.
enum ClientOutput {
    /// Text of a server for a terminal: lines stay, everything that a terminal would obey does not.
    static func text(_ text: String) -> String {
        guard isatty(1) == 1 else { return text }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map { Console.printable(String($0)) }.joined(separator: "\t")
        }.joined(separator: "\n")
    }

    static func content(_ result: JSONValue) {
        let items = result["content"]?.array ?? []
        for item in items {
            switch item["type"]?.string {
            case "text": Console.output(text(item["text"]?.string ?? ""))
            case "resource_link": Console.output(text("\(item["name"]?.string ?? "resource"): \(item["uri"]?.string ?? "")"))
            case "resource": Console.output(text(item["resource"]?["text"]?.string ?? item["resource"]?["uri"]?.string ?? ""))
            case let type: Console.output("(\(Console.printable(type ?? "content")); --json shows it)")
            }
        }
        if items.isEmpty, let structured = result["structuredContent"] { Console.output(structured.text) }
    }

    static func list(
        _ items: [JSONValue], _ options: ClientOptions, empty: String, _ row: (JSONValue) -> (String, String)
    ) {
        if options.json { return Console.output(JSONValue.array(items).text) }
        guard !items.isEmpty else { return Console.note(empty) }
        let rows = items.map { item in
            let (name, description) = row(item)
            return (Console.printable(name), Console.printable(String(description.prefix { $0 != "\n" })))
        }
        let width = min(rows.map(\.0.count).max() ?? 0, 48)
        for (name, description) in rows {
            let padding = String(repeating: " ", count: max(2, width - name.count + 2))
            let line = Console.bold(name, on: .output) + padding + description
            let limit = Console.width.map { $0 + (line.count - name.count - padding.count - description.count) }
            Console.output(limit.map { line.count > $0 ? String(line.prefix($0 - 1)) + "…" : line } ?? line)
        }
    }
}

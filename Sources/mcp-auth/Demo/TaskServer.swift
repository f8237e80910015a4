import JOSE
import MCPAuth
import MCPAuthorizationServer
import MCPServer
import OAuth

/// The tools of the demo, and what each of them takes.
enum TaskServer {
    struct Search: Codable, Sendable, DescribedProperties {
        let text: String?
        let limit: Int?
        static let descriptions = ["text": "What the tasks contain; all of them if it is left out", "limit": "How many at most, 1 to 100"]
    }

    struct Found: Codable, Sendable { let tasks: [TaskStore.Item] }

    struct Create: Codable, Sendable, DescribedProperties {
        let text: String
        static let descriptions = ["text": "What is to be done, at most 1000 characters"]
    }

    struct Delete: Codable, Sendable, DescribedProperties {
        let id: Int64
        static let descriptions = ["id": "The id of the task"]
    }

    struct Deleted: Codable, Sendable { let deleted: Int64 }

    struct Identity: Codable, Sendable {
        let name: String?
        let login: String?
        let subject: String
        let issuer: String
        let client: String?
        let scopes: [String]
    }

    struct ProviderAccess: Codable, Sendable {
        let provider: String
        let scopes: [String]
        let expires: Int64?
    }

    static let scopes = [
        ScopeDescription("read:tasks", "See your tasks", translations: ["de": "Ihre Aufgaben sehen"]),
        ScopeDescription("write:tasks", "Add tasks, and see them", translations: ["de": "Aufgaben hinzufügen und sehen"]),
        ScopeDescription("delete:tasks", "Delete your tasks", isSensitive: true, translations: ["de": "Ihre Aufgaben löschen"]),
    ]

    /// A broader scope comes with the narrower one.
    static let policy = ScopePolicy(implications: ["write:tasks": ["read:tasks"]])

    static let frontPage = FrontPage(description: "A task list for each person, protected by mcp-auth. This is the demo server.")

    /// A list with one task done.
    static let logo = Branding.Logo(
        Array(
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40" width="40" height="40"><rect width="40" height="40" rx="9" fill="#1f5fbf"/>\
            <g fill="none" stroke="#fff" stroke-width="3.2" stroke-linecap="round" stroke-linejoin="round"><path d="M9 13.5l3 3 5-6"/>\
            <path d="M22 14h9M22 26h9"/></g><circle cx="13" cy="26" r="3.4" fill="none" stroke="#fff" stroke-width="2.6"/></svg>
            """.utf8), mediaType: "image/svg+xml", description: "")

    /// - Parameter provider: The identity provider whose tokens the tool `provider-access` uses. Nil: no such tool.
    static func make(_ tasks: TaskStore, provider: (id: String, name: String)?) -> MCPServer {
        MCPServer("tasks", version: Version.text, instructions: "A list of tasks for each person. Nobody sees anybody else's.") {
            Tool("search-tasks", "Search my tasks", requires: "read:tasks", annotations: .init(title: "Search tasks", isReadOnly: true)) {
                (input: Search, call) in
                Found(tasks: try await tasks.search(input.text ?? "", owner: call.principal.owner, limit: min(max(input.limit ?? 50, 1), 100)))
            }
            Tool("create-task", "Add a task", requires: "write:tasks", annotations: .init(title: "Add a task", isDestructive: false)) {
                (input: Create, call) in
                guard !input.text.isEmpty, input.text.unicodeScalars.count <= 1000 else { throw ToolError("A task has 1 to 1000 characters.") }
                guard let task = try await tasks.create(input.text, owner: call.principal.owner) else {
                    throw ToolError("You have too many tasks; delete some.")
                }
                return task
            }
            Tool("delete-task", "Delete one task for good", requires: "delete:tasks", annotations: .init(title: "Delete a task", isDestructive: true))
            {
                (input: Delete, call) in
                guard try await tasks.delete(input.id, owner: call.principal.owner) else { throw ToolError("You have no task \(input.id).") }
                return Deleted(deleted: input.id)
            }
            Tool("whoami", "Say who is calling", requires: .authenticated, annotations: .init(title: "Who am I?", isReadOnly: true)) { call in
                Identity(
                    name: call.principal.name, login: call.principal.preferredUsername, subject: call.principal.subject,
                    issuer: call.principal.issuer, client: call.principal.clientID,
                    scopes: call.principal.scopes.map(\.text))
            }
            if let provider {
                Tool(
                    "provider-access", "Say what this server may do for the user at \(provider.name)", requires: "read:tasks",
                    annotations: .init(title: "Access at \(provider.name)", isReadOnly: true)
                ) { (call: ToolCall) async throws -> ProviderAccess in
                    // Without a connection, the client sends the user to the page that makes one.
                    let token = try await call.upstreamToken(for: provider.id)
                    return ProviderAccess(provider: provider.name, scopes: token.scopes, expires: token.expiresAt?.seconds)
                }
            }
        }
    }
}

import Foundation
import JOSE
import MCPAuthorizationServer
import OAuth

/// `server.json` has the name of a server, its resources and their scopes, for commands that administer its data. The
/// configuration itself is code, so the store does not contain it.
extension DataFolder {
    /// Writes the file if its content would change. It only helps commands to detect mistakes, so a failure to write it
    /// does not fail the server.
    func describe(_ configuration: AuthorizationServerConfiguration) {
        var json: JSONObject = [
            "resources": .array(
                configuration.resources.map { resource in
                    [
                        "resource": .string(resource.identifier.text),
                        "scopes": .array(resource.scopes.map { ["scope": .string($0.scope.text), "text": .string($0.text)] }),
                    ]
                })
        ]
        json["name"] = configuration.name.map { .string($0) }
        let data = Data(JSONValue.object(json).serialized + [0x0A])
        guard FileManager.default.contents(atPath: path(Self.descriptionName)) != data else { return }
        let temporary = path(Self.descriptionName + "." + RandomSource.system.token(bytes: 9))
        guard FileManager.default.createFile(atPath: temporary, contents: data, attributes: [.posixPermissions: 0o600]) else { return }
        if rename(temporary, path(Self.descriptionName)) != 0 { unlink(temporary) }
    }

    /// What a running server wrote about itself. Empty when there is no file, or it cannot be read.
    func description() -> (name: String?, resources: [ProtectedResource]) {
        guard let data = FileManager.default.contents(atPath: path(Self.descriptionName)), let json = try? JSONValue(parsing: Array(data)) else {
            return (nil, [])
        }
        let resources = (json["resources"]?.array ?? []).compactMap { entry -> ProtectedResource? in
            let scopes = (entry["scopes"]?.array ?? []).compactMap { item -> ScopeDescription? in
                guard let scope = item["scope"]?.string.flatMap(Scope.init), let text = item["text"]?.string else { return nil }
                return ScopeDescription(scope, text)
            }
            return entry["resource"]?.string.flatMap { try? ProtectedResource($0, scopes: scopes) }
        }
        return (json["name"]?.string, resources)
    }

    private static let descriptionName = "server.json"
}

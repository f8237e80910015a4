public import HTTPTypes
import JOSE
public import OAuth

extension ResourceServer {
    /// The paths under which this resource's metadata is served: the path form and the root form (RFC 9728 §3.1, R2).
    public var metadataPaths: [String] {
        let specific = URLBytes.path(of: resource.metadataPath)
        return specific == ResourceIdentifier.metadataRootPath ? [specific] : [specific, specific + "/", ResourceIdentifier.metadataRootPath]
    }

    /// Answers a request for the metadata document, or returns nil when the request is for something else. Public, and the same for everybody: it comes
    /// from the configuration, never from the request.
    public func metadataReply(for request: HTTPRequest) -> HTTPReply? {
        let path = URLBytes.path(of: request.path ?? "")
        guard metadataPaths.contains(where: { $0.utf8.elementsEqual(path.utf8) }) else { return nil }
        return PublicDocument.reply(to: request.method, metadata.json.serialized)
    }
}

/// JSON that any web page may read.
package enum PublicDocument {
    package static func reply(to method: HTTPRequest.Method, _ body: [UInt8], maximumAge: Int = 300) -> HTTPReply {
        var fields: HTTPFields = [.accessControlAllowOrigin: "*", .xContentTypeOptions: "nosniff"]
        switch method {
        case .get, .head:
            fields[.contentType] = "application/json"
            fields[.cacheControl] = "public, max-age=\(maximumAge)"
            return HTTPReply(.ok, fields, body: method == .head ? [] : body)
        case .options:
            fields[.accessControlAllowMethods] = "GET, HEAD, OPTIONS"
            fields[.accessControlAllowHeaders] = "authorization, mcp-protocol-version, content-type"
            return HTTPReply(.noContent, fields)
        default:
            fields[.allow] = "GET, HEAD, OPTIONS"
            return HTTPReply(.methodNotAllowed, fields)
        }
    }
}

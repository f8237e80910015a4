public import HTTPTypes
import JOSE
public import OAuth

extension ResourceServer {
    /// The paths of this resource's metadata: the path form and the root form (RFC 9728 §3.1, R2), without a slash at
    /// the end. `metadataReply` also answers with one.
    public var metadataPaths: [String] {
        let specific = Self.trimmed(URLBytes.path(of: resource.metadataPath))
        return specific == ResourceIdentifier.metadataRootPath ? [specific] : [specific, ResourceIdentifier.metadataRootPath]
    }

    private static func trimmed(_ path: String) -> String {
        path.utf8.last == UInt8(ascii: "/") ? String(decoding: path.utf8.dropLast(), as: UTF8.self) : path
    }

    /// The response to a request for the metadata document, or nil for every other request. It needs no token and is
    /// the same for every client. It comes from the configuration, never from the request.
    public func metadataReply(for request: HTTPRequest) -> HTTPReply? {
        let path = Self.trimmed(URLBytes.path(of: request.path ?? ""))
        guard metadataPaths.contains(where: { $0.utf8.elementsEqual(path.utf8) }) else { return nil }
        return PublicDocument.reply(to: request, metadata.json.serialized)
    }
}

/// JSON that any web page may read.
package enum PublicDocument {
    package static func reply(to request: HTTPRequest, _ body: [UInt8], maximumAge: Int = 300) -> HTTPReply {
        var fields: HTTPFields = [.accessControlAllowOrigin: "*", .xContentTypeOptions: "nosniff"]
        switch request.method {
        case .get, .head:
            fields[.contentType] = "application/json"
            fields[.cacheControl] = "public, max-age=\(maximumAge)"
            return HTTPReply(.ok, fields, body: request.method == .head ? [] : body)
        case .options: return CrossOrigin.preflight(request, allowing: "*", methods: "GET, HEAD, OPTIONS")
        default:
            fields[.allow] = "GET, HEAD, OPTIONS"
            return HTTPReply(.methodNotAllowed, fields)
        }
    }
}

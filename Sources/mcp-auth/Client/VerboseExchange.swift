import HTTPTypes
import JOSE
import OAuth

/// Prints requests and responses to standard error, with everything masked that signs in.
struct VerboseExchange: HTTPFetcher, HTTPExchange {
    private let inner: any HTTPFetcher & HTTPExchange

    init(_ inner: any HTTPFetcher & HTTPExchange) { self.inner = inner }

    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        show(request)
        do throws(OAuthError) {
            let reply = try await inner.fetch(request)
            show(reply.response)
            show(reply.body, "<")
            return reply
        } catch {
            Console.note("< \(error.message)")
            throw error
        }
    }

    func send(_ request: OutboundRequest) async throws(OAuthError) -> StreamedReply {
        show(request)
        do throws(OAuthError) {
            let reply = try await inner.send(request)
            show(reply.response)
            return reply
        } catch {
            Console.note("< \(error.message)")
            throw error
        }
    }

    private func show(_ request: OutboundRequest) {
        Console.note("> \(request.method.rawValue) \(Self.masked(url: request.url))")
        for field in request.fields { Console.note("> \(Self.masked(field))") }
        show(request.body, ">")
    }

    private func show(_ response: HTTPResponse) {
        Console.note("< \(response.status.code)")
        for field in response.headerFields { Console.note("< \(Console.printable(Self.masked(field)))") }
    }

    private func show(_ body: [UInt8], _ mark: String) {
        guard !body.isEmpty else { return }
        if let json = try? JSONValue(parsing: body) {
            Console.note("\(mark) \(Console.printable(String(Self.masked(json).text.prefix(2000))))")
        } else if body.count < 16_384, let form = try? Form(parsing: body), !form.fields.contains(where: { $0.value.isEmpty }) {
            Console.note(
                "\(mark) " + form.fields.map { "\($0.name)=\(Self.isSecret($0.name) ? "..." : Console.printable($0.value))" }.joined(separator: "&"))
        } else {
            Console.note("\(mark) (\(body.count) bytes)")
        }
    }

    /// The names of members and parameters whose values sign in.
    private static func isSecret(_ name: String) -> Bool {
        [
            "access_token", "refresh_token", "id_token", "client_secret", "client_assertion", "assertion", "code", "code_verifier", "device_code",
            "subject_token", "actor_token", "registration_access_token", "token", "password", "state", "sealed", "request_uri",
        ].contains(name)
    }

    private static func masked(_ field: HTTPField) -> String {
        let names = ["dpop", "mcp-session-id", "x-api-key", "proxy-authorization"]
        let isHidden = [HTTPField.Name.authorization, .cookie, .setCookie].contains(field.name) || names.contains(field.name.canonicalName)
        guard isHidden else { return "\(field.name.rawName): \(field.value)" }
        let scheme = field.name == .authorization ? String(field.value.prefix { $0 != " " }) + " " : ""
        return "\(field.name.rawName): \(scheme)..."
    }

    private static func masked(url: WebURL) -> String {
        guard let query = url.query, let form = try? Form(parsing: query.utf8) else { return url.text }
        let shown = form.fields.map { "\($0.name)=\(isSecret($0.name) ? "..." : Form.encode($0.value))" }.joined(separator: "&")
        return url.origin + url.path + "?" + shown
    }

    private static func masked(_ json: JSONValue) -> JSONValue {
        switch json {
        case .object(let object):
            .object(JSONObject(object.map { ($0.name, isSecret($0.name) && $0.value.string != nil ? "..." : masked($0.value)) }))
        case .array(let array): .array(array.map(masked))
        default: json
        }
    }
}

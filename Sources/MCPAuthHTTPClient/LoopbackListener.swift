public import MCPAuthClient
import NIOCore
import NIOHTTP1
import NIOPosix
public import OAuth
import Synchronization

/// Receives the answer of a sign-in on a port of this machine (RFC 8252 §7.3), while the user signs in with a browser.
///
/// It listens on the loopback interface only, answers one path, rejects requests whose `Host` is another name (DNS
/// rebinding), ignores answers with another `state`, and closes after the first right one. The page at the end has no
/// script and shows nothing of the answer.
public struct LoopbackUserAgent: UserAgent {
    /// The name in the redirect URI. Some authorization servers take only one of them.
    public enum Host: String, Sendable, CaseIterable {
        /// `127.0.0.1`, as RFC 8252 recommends.
        case address = "127.0.0.1"
        /// `localhost`.
        case localhost
    }

    private let host: Host?
    private let port: Int
    private let path: String
    private let timeout: Duration
    private let show: @Sendable (WebURL) async throws(OAuthError) -> Void

    /// A listener for each sign-in.
    ///
    /// - Parameters:
    ///   - host: The name in the redirect URI. Nil: `127.0.0.1`, and `localhost` where the authorization server rejects
    ///     it.
    ///   - port: The port. 0: any free one, or that of an earlier registration.
    ///   - path: The path of the redirect URI.
    ///   - timeout: The time that the user has.
    ///   - show: Shows the address of the authorization page, for example `{ url in try SystemBrowser().open(url) }`.
    public init(
        host: Host? = nil, port: Int = 0, path: String = "/callback", timeout: Duration = .seconds(300),
        show: @escaping @Sendable (WebURL) async throws(OAuthError) -> Void
    ) {
        self.host = host
        self.port = port
        self.path = path
        self.timeout = timeout
        self.show = show
    }

    /// Begins to listen. Throws `temporarily_unavailable` when the port is in use.
    public func begin(preferring preferred: RedirectURI?) async throws(OAuthError) -> any AuthorizationReceiver {
        guard path.utf8.first == UInt8(ascii: "/"), WebURL("http://127.0.0.1\(path)")?.query == nil else {
            throw OAuthError(.invalidConfiguration, "the path of the callback begins with a slash and has no query")
        }
        let answers = CallbackAnswers(path: path)
        let earlier = preferred.flatMap { WebURL($0.text) }.flatMap { $0.isLoopback && $0.path.utf8.elementsEqual(path.utf8) ? $0.port : nil }
        var channels: [any Channel] = []
        for candidate in port != 0 ? [port] : [earlier, 0].compactMap({ $0 }) {
            if let bound = await Self.bind("127.0.0.1", candidate, answers) {
                channels = [bound]
                break
            }
        }
        guard let bound = channels.first, let actual = bound.localAddress?.port else {
            throw OAuthError(
                .temporarilyUnavailable,
                "port \(port) of this machine is in use, so the answer of the sign-in cannot be received; end the other program or choose another port"
            )
        }
        // A browser may reach localhost by the other address family. Without IPv6 there is nothing to listen on.
        if let second = await Self.bind("::1", actual, answers) { channels.append(second) }
        answers.allow(port: actual)
        let hosts = host.map { [$0] } ?? Host.allCases
        var uris: [RedirectURI] = []
        for host in hosts { uris.append(try RedirectURI("http://\(host.rawValue):\(actual)\(path)")) }
        if let preferred, let index = uris.firstIndex(of: preferred) { uris.insert(uris.remove(at: index), at: 0) }
        return Receiver(redirectURIs: uris, channels: channels, answers: answers, timeout: timeout, show: show)
    }

    private static func bind(_ host: String, _ port: Int, _ answers: CallbackAnswers) async -> (any Channel)? {
        // Without SO_REUSEPORT no other program can listen on the same port.
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 16)
            // Closed connections of an earlier sign-in do not block the port; a listening program still does.
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandler(CallbackHandler(answers))
                    // A connection that sends nothing does not stay.
                    channel.eventLoop.scheduleTask(in: .seconds(10)) { channel.close(promise: nil) }
                }
            }
        return try? await bootstrap.bind(host: host, port: port).get()
    }

    private struct Receiver: AuthorizationReceiver {
        let redirectURIs: [RedirectURI]
        let channels: [any Channel]
        let answers: CallbackAnswers
        let timeout: Duration
        let show: @Sendable (WebURL) async throws(OAuthError) -> Void

        func authorize(_ url: WebURL, state: String) async throws(OAuthError) -> String {
            answers.expect(state)
            try await show(url)
            let answers = answers
            let timer = Task { [timeout] in
                try await Task.sleep(for: timeout)
                answers.fail(OAuthError(.expiredToken, "the sign-in was not finished in time; begin again"))
            }
            defer { timer.cancel() }
            let result = await withTaskCancellationHandler {
                await answers.value()
            } onCancel: {
                answers.fail(OAuthError(.accessDenied, "the sign-in was cancelled"))
            }
            return try result.get()
        }

        func close() async {
            // The page at the end is still on its way.
            try? await Task.sleep(for: .milliseconds(50))
            for channel in channels { try? await channel.close() }
        }
    }
}

/// The answers at the callback, and the one that is waited for.
final class CallbackAnswers: Sendable {
    typealias Answer = Result<String, OAuthError>

    private struct State {
        var hosts: Set<String> = []
        var state: String?
        var answer: Answer?
        var waiting: CheckedContinuation<Answer, Never>?
    }

    let path: String
    private let state = Mutex(State())

    init(path: String) { self.path = path }

    func allow(port: Int) {
        state.withLock { $0.hosts = ["127.0.0.1:\(port)", "localhost:\(port)", "[::1]:\(port)"] }
    }

    func expect(_ text: String) { state.withLock { $0.state = text } }

    func isOwnHost(_ host: String?) -> Bool {
        guard let host else { return false }
        return state.withLock { $0.hosts.contains(host.lowercased()) }
    }

    /// Takes a request target. True for the right answer, once or again.
    func take(_ target: String) -> Bool {
        guard let expected = state.withLock({ $0.state }), let query = AuthorizationAnswer.query(of: target, state: expected) else { return false }
        give(.success(query))
        return true
    }

    func fail(_ error: OAuthError) { give(.failure(error)) }

    private func give(_ answer: Answer) {
        let waiting = state.withLock { state -> CheckedContinuation<Answer, Never>? in
            guard state.answer == nil else { return nil }
            state.answer = answer
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: answer)
    }

    func value() async -> Answer {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Answer? in
                if state.answer == nil { state.waiting = continuation }
                return state.answer
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}

/// Answers one connection to the callback.
final class CallbackHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answers: CallbackAnswers
    private var head: HTTPRequestHead?

    init(_ answers: CallbackAnswers) { self.answers = answers }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end: if let head { reply(to: head, context) }
        }
    }

    private func reply(to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let hosts = head.headers["Host"]
        let path = String(head.uri.prefix { $0 != "?" })
        let (status, title, text): (HTTPResponseStatus, String, String)
        if hosts.count != 1 || !answers.isOwnHost(hosts.first) {
            (status, title, text) = (.misdirectedRequest, "Not for this address", "This page belongs to a sign-in on this machine.")
        } else if head.method != .GET || !path.utf8.elementsEqual(answers.path.utf8) {
            (status, title, text) = (.notFound, "Nothing here", "There is no page at this address.")
        } else if answers.take(head.uri) {
            (status, title, text) = (
                .ok, "You can close this window",
                "The answer of the sign-in was received. Return to the program that opened this page: it says how it ended."
            )
        } else {
            (status, title, text) = (
                .badRequest, "This belongs to another sign-in", "Return to the program, and open the newest page that it has opened."
            )
        }
        let body = ByteBuffer(string: Self.page(title, text))
        var headers = HTTPHeaders([
            ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
            (
                "Content-Security-Policy",
                "default-src 'none'; style-src 'sha256-\(Self.styleHash)'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
            ),
            ("Connection", "close"),
        ])
        headers.add(name: "Content-Length", value: String(body.readableBytes))
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private static let style = """
        :root{color-scheme:light dark}body{font:1.05rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;background:light-dark(#f4f5f7,#14171c);color:light-dark(#1c2430,#e8ebf0)}main{max-width:26rem;margin:1rem;padding:2rem;border-radius:.8rem;background:light-dark(#fff,#1d222a);border:1px solid light-dark(#d5d9df,#3a404a)}h1{font-size:1.35rem;margin:0 0 .75rem}p{margin:0}
        """
    private static let styleHash = LoopbackPage.hash(of: style)

    private static func page(_ title: String, _ text: String) -> String {
        """
        <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">\
        <title>\(title)</title><style>\(style)</style></head><body><main><h1>\(title)</h1><p>\(text)</p></main></body></html>
        """
    }
}

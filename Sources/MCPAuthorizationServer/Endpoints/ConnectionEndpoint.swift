import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The page on which users connect an account of an identity provider that a tool needs.
struct ConnectionEndpoint: ServerComponent {
    let context: ServerContext
    let store: any ConnectionStore
    let clients: ClientDirectory
    let browser: BrowserFlow
    let requests: ConnectionRequestSealer

    func page(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get else { return .methodNotAllowed("GET") }
        let pages = browser.pages(call)
        do throws(OAuthError) {
            let text = try Form(queryOf: call.request.path ?? "").single("request") ?? ""
            guard let request = requests.open(text, at: clock.now), let provider = context.signIn.provider(request.provider) else {
                return pages.error(
                    OAuthError(.expiredToken, "this link is too old, or is not complete; call the tool again in the application for a new one"))
            }
            let cookie = browser.cookie(call)
            let transaction = browser.newTransaction(.connection(request), browser: SecretHash(of: cookie.value))
            guard let signedIn = try await browser.signedIn(call) else {
                return cookie.set(on: pages.signIn(try browser.transactions.seal(transaction), client: nil))
            }
            // The user who connects must be the one whose call needs it: a link that was passed on would otherwise give
            // an account to the tools of another user.
            guard signedIn.user.id == request.userID else {
                record("connection.added", .denied, call, reason: "link_of_another_user", detail: request.provider, subject: signedIn.user.id)
                return pages.problem(pages.language.words.connectOtherUser, .accessDenied, status: .forbidden)
            }
            let shown = try browser.transactions.seal(transaction.shown(to: signedIn.session))
            var client: Client?
            if let id = request.clientID.flatMap(ClientID.init) { client = try? await clients.client(id, nil) }
            return cookie.set(
                on: pages.connection(shown, Pages.WantedConnection(provider: provider, scopes: request.scopes, client: client, user: signedIn.user)))
        } catch { return pages.error(error, status: browser.pageStatus(error)) }
    }
}

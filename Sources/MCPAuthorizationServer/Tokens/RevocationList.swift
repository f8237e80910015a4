import JOSE
import OAuth
import Synchronization

/// The revocations of tokens that may not have expired yet, in memory, so that the resource server of this process
/// applies them at once.
final class RevocationList: Sendable {
    private struct State {
        var grants: [String: NumericDate] = [:]
        /// By `jti`, the time until which the revocation is kept.
        var tokens: [String: NumericDate] = [:]
        var clients: [String: NumericDate] = [:]
        var latest = NumericDate(seconds: .min)
    }

    private let state = Mutex(State())

    func insert(_ revocation: Revocation, at now: NumericDate) {
        state.withLock { state in
            // A clock that was set back must not make a revocation look old.
            state.latest = max(state.latest, now)
            let moment = state.latest
            switch revocation {
            case .grant(let id): state.grants[id] = max(state.grants[id] ?? moment, moment)
            case .accessToken(let id, let until): state.tokens[id] = max(state.tokens[id] ?? until, until)
            case .client(let id, let upTo): state.clients[id.text] = max(state.clients[id.text] ?? upTo, upTo)
            }
        }
    }

    /// Whether an access token with this `jti` is revoked: by itself, with its grant, or with all tokens of its client.
    func contains(tokenID: String, of clientID: String?, issuedAt: @autoclosure () -> NumericDate?) -> Bool {
        let (isRevoked, upTo) = state.withLock { state -> (Bool, NumericDate?) in
            if state.tokens.isEmpty, state.grants.isEmpty, state.clients.isEmpty { return (false, nil) }
            return (
                state.tokens[tokenID] != nil || state.grants[TokenIdentifier.grantID(of: tokenID)] != nil,
                clientID.flatMap { state.clients[$0] }
            )
        }
        if isRevoked { return true }
        guard let upTo else { return false }
        return issuedAt().map { $0 <= upTo } ?? true
    }

    /// Removes revocations of tokens that have expired, and other revocations from before `moment`, whose tokens have
    /// all expired.
    func forget(before moment: NumericDate, at now: NumericDate) {
        state.withLock { state in
            state.grants = state.grants.filter { $0.value >= moment }
            state.tokens = state.tokens.filter { $0.value >= now }
            state.clients = state.clients.filter { $0.value >= moment }
        }
    }
}

/// The `jti` of our access tokens: the grant, a dot, and a random part.
enum TokenIdentifier {
    static func make(grantID: String, random: RandomSource) -> String { grantID + "." + random.token(bytes: 12) }
    static func grantID(of tokenID: String) -> String { String(tokenID.prefix { $0 != "." }) }
}

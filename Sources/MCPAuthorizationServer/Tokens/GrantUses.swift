import JOSE
import MCPAuth
import OAuth
import Synchronization

/// The last use of each grant, collected in memory and stored periodically. No request waits for a disk because of it,
/// and none copies a text.
final class GrantUses: Sendable {
    private struct Use {
        let operation: Operation
        let time: NumericDate
        /// The issue time of the token, read only when uses are stored.
        let issuedAt: IssuedAt
    }

    enum IssuedAt: Sendable {
        case known(NumericDate?)
        /// The principal, which is one reference and cheap to keep for some seconds.
        case claim(of: Principal)

        var date: NumericDate? {
            switch self {
            case .known(let date): date
            case .claim(let principal): principal.claims["iat"]?.number?.int64.map { NumericDate(seconds: $0) }
            }
        }
    }

    /// By the `jti` of the token.
    private let uses = Mutex<[String: Use]>([:])

    /// The number of tokens in one interval. Further ones are not recorded.
    private static let capacity = 20_000

    func note(_ tokenID: String, _ operation: Operation, of principal: Principal, at now: NumericDate) {
        note(tokenID, Use(operation: bounded(operation), time: now, issuedAt: .claim(of: principal)))
    }

    func note(_ tokenID: String, _ operation: Operation, issuedAt: NumericDate?, at now: NumericDate) {
        note(tokenID, Use(operation: bounded(operation), time: now, issuedAt: .known(issuedAt)))
    }

    private func note(_ tokenID: String, _ use: Use) {
        uses.withLock { uses in
            guard uses.count < Self.capacity || uses[tokenID] != nil else { return }
            uses[tokenID] = use
        }
    }

    /// An operation with a bounded name. A client chooses the name, and it must not fill memory and store.
    private func bounded(_ operation: Operation) -> Operation {
        operation.name.utf8.count <= 400 ? operation : Operation(kind: operation.kind, name: DisplayText.clean(operation.name, limit: 100))
    }

    /// The latest use of each grant. Removes all uses.
    func take() -> [GrantUse] {
        let taken = uses.withLock { uses in
            defer { uses = [:] }
            return uses
        }
        return Self.byGrant(taken).values.sorted { $0.time < $1.time }
    }

    /// The latest use of a grant that is not stored yet.
    func pending(_ grantID: String) -> GrantUse? {
        Self.byGrant(uses.withLock { $0.filter { TokenIdentifier.grantID(of: $0.key).utf8.elementsEqual(grantID.utf8) } })[grantID]
    }

    private static func byGrant(_ uses: [String: Use]) -> [String: GrantUse] {
        var latest: [String: GrantUse] = [:]
        for (tokenID, use) in uses {
            let grantID = TokenIdentifier.grantID(of: tokenID)
            let issuedAt = use.issuedAt.date
            if let other = latest[grantID], other.time > use.time {
                latest[grantID]?.tokenIssuedAt = [other.tokenIssuedAt, issuedAt].compactMap(\.self).max()
                continue
            }
            latest[grantID] = GrantUse(
                grantID: grantID, operation: DisplayText.clean(use.operation.description, limit: 120), time: use.time,
                tokenIssuedAt: [latest[grantID]?.tokenIssuedAt, issuedAt].compactMap(\.self).max())
        }
        return latest
    }
}

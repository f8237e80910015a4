import JOSE
import OAuth
import Synchronization

/// What grants were last used for, collected in memory and written down now and then: no request waits for a disk because of it.
final class GrantUses: Sendable {
    private let uses = Mutex<[String: GrantUse]>([:])

    /// More grants than this in one interval are not remembered.
    private static let capacity = 20_000

    func note(_ grantID: String, _ operation: String, at now: NumericDate) {
        uses.withLock { uses in
            guard uses.count < Self.capacity || uses[grantID] != nil else { return }
            uses[grantID] = GrantUse(grantID: grantID, operation: operation, time: now)
        }
    }

    func take() -> [GrantUse] {
        uses.withLock { uses in
            defer { uses = [:] }
            return Array(uses.values)
        }
    }

    /// The latest of a grant that is not written down yet.
    func pending(_ grantID: String) -> GrantUse? { uses.withLock { $0[grantID] } }
}

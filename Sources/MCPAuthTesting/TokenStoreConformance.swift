public import MCPAuthClient
import OAuth
import Synchronization

/// The requirements for every token store of a client, as checks that any test framework can run.
///
/// ```swift
/// @Test(arguments: TokenStoreConformance.checks) func conformance(_ check: TokenStoreConformance.Check) async throws {
///     try await check.run(on: MyStore())
/// }
/// ```
///
/// Every check needs an empty store. A check that fails throws `Failure`, which says what was expected.
public enum TokenStoreConformance {
    /// A requirement that a store does not meet.
    public struct Failure: Error, CustomStringConvertible {
        /// The expectation in words.
        public let description: String
    }

    /// One check. It is independent of the others.
    public struct Check: Sendable, CustomStringConvertible {
        /// The requirement in words.
        public let description: String
        let body: @Sendable (any TokenStore) async throws -> Void

        /// Runs the check on an empty store. Throws `Failure`, or the error that the store threw.
        public func run(on store: any TokenStore) async throws { try await body(store) }
    }

    private static func expect(_ condition: Bool, _ expectation: String) throws {
        if !condition { throw Failure(description: "expected: \(expectation)") }
    }

    /// Every check.
    public static let checks: [Check] = [
        Check(description: "a value comes back as it was written, and a new one replaces it as a whole") { store in
            try expect(try await store.read("tokens a") == nil, "nothing in an empty store")
            let value = Array(#"{"text":"é \u0000 \" \\ 😀","number":1}"#.utf8)
            try await store.write(value, for: "tokens a")
            try expect(try await store.read("tokens a") == value, "the value")
            let short = Array("{}".utf8)
            try await store.write(short, for: "tokens a")
            try expect(try await store.read("tokens a") == short, "the new value alone")
        },
        Check(description: "keys are compared byte for byte, and do not touch each other") { store in
            let keys = [
                "tokens https://a.example/mcp", "tokens https://a.example/mcp/", "tokens https://A.example/mcp", "tokens é", "tokens e\u{301}",
                "client x",
            ]
            for (index, key) in keys.enumerated() { try await store.write(Array("{\"n\":\(index)}".utf8), for: key) }
            for (index, key) in keys.enumerated() {
                try expect(try await store.read(key) == Array("{\"n\":\(index)}".utf8), "the value of \(key)")
            }
            let found = try await store.keys()
            try expect(
                found.count == keys.count && keys.allSatisfy { key in found.contains { $0.utf8.elementsEqual(key.utf8) } }, "every key in the list")
            try await store.remove(keys[0])
            try expect(try await store.read(keys[0]) == nil, "a removed key is gone")
            try expect(try await store.read(keys[1]) != nil, "its neighbour is not")
            try await store.remove(keys[0])
        },
        Check(description: "only one caller is inside a lock, and all get in") { store in
            let counter = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<12 {
                    group.addTask {
                        try await store.withLock("tokens a", timeout: .seconds(300)) { () throws(OAuthError) in
                            counter.enter()
                            try? await Task.sleep(for: .milliseconds(5))
                            counter.leave()
                        }
                    }
                }
                try await group.waitForAll()
            }
            try expect(counter.most == 1, "one caller at a time, not \(counter.most)")
            try expect(counter.total == 12, "every caller was inside")
        },
        Check(description: "locks of other keys do not wait, and a lock that is not free in time is an error") { store in
            try await store.withLock("tokens a", timeout: .seconds(5)) { () throws(OAuthError) in
                try await store.withLock("tokens b", timeout: .seconds(1)) { () throws(OAuthError) in }
                do throws(OAuthError) {
                    try await store.withLock("tokens a", timeout: .milliseconds(100)) { () throws(OAuthError) in }
                } catch {
                    guard error.code == .temporarilyUnavailable else { throw error }
                    return
                }
                throw OAuthError(.serverError, "two callers were inside one lock")
            }
        },
        Check(description: "a lock is free again after its body has thrown") { store in
            do throws(OAuthError) {
                try await store.withLock("tokens a", timeout: .seconds(1)) { () throws(OAuthError) in throw OAuthError(.serverError, "on purpose") }
            } catch { guard error.code == .serverError else { throw error } }
            try await store.withLock("tokens a", timeout: .seconds(1)) { () throws(OAuthError) in }
        },
        Check(description: "concurrent writers leave one whole value") { store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        try await store.write(Array("{\"n\":\"\(String(repeating: "\(index % 10)", count: 5000))\"}".utf8), for: "tokens a")
                    }
                }
                try await group.waitForAll()
            }
            let value = try await store.read("tokens a") ?? []
            try expect(value.count == 5008 && Set(value.dropFirst(6).dropLast(2)).count == 1, "one writer's value, whole")
        },
    ]

    private final class Counter: Sendable {
        private let state = Mutex((inside: 0, most: 0, total: 0))
        func enter() {
            state.withLock { state in
                state.inside += 1
                state.total += 1
                state.most = max(state.most, state.inside)
            }
        }
        func leave() { state.withLock { $0.inside -= 1 } }
        var most: Int { state.withLock { $0.most } }
        var total: Int { state.withLock { $0.total } }
    }
}

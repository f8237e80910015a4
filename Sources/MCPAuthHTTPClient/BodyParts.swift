import HTTPTypes
import OAuth
import Synchronization

/// Passes the parts of a body from the connection to the reader, one at a time, so that a fast server cannot fill the
/// memory of a slow reader.
actor BodyParts {
    private var part: [UInt8]?
    private var isFinished = false
    private var problem: OAuthError?
    private var reader: CheckedContinuation<Void, Never>?
    private var writer: CheckedContinuation<Void, Never>?

    func put(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        while part != nil {
            try Task.checkCancellation()
            await withTaskCancellationHandler {
                await withCheckedContinuation { writer = $0 }
            } onCancel: {
                Task { await self.wakeWriter() }
            }
        }
        try Task.checkCancellation()
        part = bytes
        wakeReader()
    }

    func finish(_ problem: OAuthError?) {
        isFinished = true
        self.problem = problem
        wakeReader()
    }

    /// The next part. Nil at the end.
    func take() async throws(OAuthError) -> [UInt8]? {
        while part == nil, !isFinished {
            if Task.isCancelled { throw OAuthError(.fetchFailed, "cancelled") }
            await withTaskCancellationHandler {
                await withCheckedContinuation { reader = $0 }
            } onCancel: {
                Task { await self.wakeReader() }
            }
        }
        guard let bytes = part else {
            if let problem { throw problem }
            return nil
        }
        part = nil
        wakeWriter()
        return bytes
    }

    private func wakeReader() {
        reader?.resume()
        reader = nil
    }

    private func wakeWriter() {
        writer?.resume()
        writer = nil
    }
}

/// The head of a response, given once.
final class HeadPromise: Sendable {
    typealias Head = Result<HTTPResponse, OAuthError>
    private struct State {
        var head: Head?
        var waiting: CheckedContinuation<Head, Never>?
    }
    private let state = Mutex(State())

    func give(_ head: Head) {
        let waiting = state.withLock { state -> CheckedContinuation<Head, Never>? in
            guard state.head == nil else { return nil }
            state.head = head
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: head)
    }

    func value() async -> Head {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state -> Head? in
                if state.head == nil { state.waiting = continuation }
                return state.head
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}

/// Ends a stream with its last reader.
final class StreamOwner: Sendable {
    private let task: Task<Void, Never>
    init(_ task: Task<Void, Never>) { self.task = task }
    func cancel() { task.cancel() }
    deinit { task.cancel() }
}

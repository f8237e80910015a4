package import JOSE
package import OAuth
import Synchronization

/// The metadata of an issuer. One fetch runs at a time, and not more often than every thirty seconds, whatever requests
/// arrive. Metadata is cached for ten minutes, and used longer while the issuer cannot be reached.
package final class RemoteMetadata: Sendable {
    private struct State {
        var metadata: AuthorizationServerMetadata?
        var fetchedAt: NumericDate?
        var attemptedAt: NumericDate?
        var failure: OAuthError?
        var flight: Task<Result<AuthorizationServerMetadata, OAuthError>, Never>?
    }

    private static let cooldown: Int64 = 30

    private let issuer: Issuer
    private let location: MetadataLocation
    private let fetcher: any HTTPFetcher
    private let state = Mutex(State())

    package init(_ issuer: Issuer, at location: MetadataLocation = .wellKnown, fetcher: any HTTPFetcher) {
        self.issuer = issuer
        self.location = location
        self.fetcher = fetcher
    }

    /// The metadata. Throws the error of the last attempt when there is none.
    package func current(at now: NumericDate) async throws(OAuthError) -> AuthorizationServerMetadata {
        enum Step { case known(AuthorizationServerMetadata), failed(OAuthError), wait(Task<Result<AuthorizationServerMetadata, OAuthError>, Never>) }
        let step: Step = state.withLock { state in
            func isOver(_ seconds: Int64, _ moment: NumericDate?) -> Bool { moment.map { !(-60..<seconds).contains(now.seconds(since: $0)) } ?? true }
            if let metadata = state.metadata, !isOver(RemoteKeySet.refreshInterval, state.fetchedAt) { return .known(metadata) }
            if let flight = state.flight { return .wait(flight) }
            guard isOver(Self.cooldown, state.attemptedAt) else {
                if let metadata = state.metadata { return .known(metadata) }
                return .failed(state.failure ?? OAuthError(.fetchFailed, "the metadata of \(issuer) could not be fetched a moment ago"))
            }
            state.attemptedAt = now
            let flight = Task { await self.fetch(at: now) }
            state.flight = flight
            return .wait(flight)
        }
        switch step {
        case .known(let metadata): return metadata
        case .failed(let error): throw error
        case .wait(let flight): return try await flight.value.get()
        }
    }

    private func fetch(at now: NumericDate) async -> Result<AuthorizationServerMetadata, OAuthError> {
        do throws(OAuthError) {
            let metadata = try await AuthorizationServerMetadata.discover(issuer, at: location, with: fetcher)
            state.withLock { state in
                state.metadata = metadata
                state.fetchedAt = now
                state.flight = nil
            }
            return .success(metadata)
        } catch {
            return state.withLock { state in
                state.flight = nil
                state.failure = error
                return state.metadata.map { .success($0) } ?? .failure(error)
            }
        }
    }
}

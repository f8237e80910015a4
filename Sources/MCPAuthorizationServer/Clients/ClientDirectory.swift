import JOSE
import MCPAuth
import OAuth

/// Finds clients: those of the configuration, of the store, and of metadata documents.
struct ClientDirectory: ServerComponent {
    let context: ServerContext
    let store: any ClientStore
    let documents: ClientMetadataDocuments?

    /// A client of the configuration, of the store, or of a metadata document. Clients of the configuration are never
    /// stored, so that a client that is removed from it is unknown. `call` is the request for which a document may be
    /// fetched. Nil fetches none.
    ///
    /// Throws `temporarily_unavailable`, and for documents `invalid_client` and `too_many_requests`.
    func client(_ id: ClientID, _ call: HTTPCall?) async throws(OAuthError) -> Client? {
        if let client = configuration.clients.first(where: { $0.id == id }) { return client }
        if ClientMetadataDocuments.isDocument(id) {
            guard let documents, let call else { return nil }
            return try await documents.client(id, for: call.limitKey, at: clock.now)
        }
        return try await stored { try await store.client(id) }
    }

    /// The place where the store checks, when a grant of this client is created, that the client still exists and is
    /// not disabled.
    func registry(of client: Client) -> ClientRegistry {
        client.origin == .document || configuration.clients.contains { $0.id == client.id } ? .elsewhere : .store
    }

    /// Whether a client that received a token before could still receive one. Its metadata document is not fetched for
    /// this, but its domain must still be allowed.
    func isStillAdmitted(_ id: ClientID) async throws(OAuthError) -> Bool {
        if ClientMetadataDocuments.isDocument(id) { return WebURL(id.text).map(configuration.clientMetadataDocuments.allows) ?? false }
        if id.text.utf8.starts(with: "workload:".utf8) { return configuration.workloads.contains { "workload:" + $0.name == id.text } }
        return try await client(id, nil).map { !$0.isDisabled } ?? false
    }
}

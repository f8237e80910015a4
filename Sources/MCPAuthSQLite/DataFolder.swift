import Foundation
import JOSE
public import MCPAuth
public import MCPAuthorizationServer
public import OAuth

/// A folder that holds all that an authorization server has: `auth.db`, and `master.key`, which seals what is in it. Readable by its owner only.
///
/// Back up both; without the key, the signing keys in the database are lost, and every token with them.
public struct DataFolder: Sendable {
    private let url: URL

    /// A folder that is there already, or nil: for whoever looks at data and must not make any.
    public init?(existing path: String) throws(OAuthError) {
        guard FileManager.default.fileExists(atPath: URL(fileURLWithPath: path).appendingPathComponent("auth.db").path) else { return nil }
        try self.init(path)
    }

    /// Opens or makes the folder, and makes it private. A folder that holds other people's things is not touched: unless it is private already, it is
    /// refused. Throws `invalid_configuration` saying why it cannot be used.
    public init(_ path: String) throws(OAuthError) {
        url = URL(fileURLWithPath: path)
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            let attributes = try FileManager.default.attributesOfItem(atPath: url.path)
            guard let mode = (attributes[.posixPermissions] as? NSNumber)?.intValue, mode & 0o077 != 0 else { return }
            let names = try FileManager.default.contentsOfDirectory(atPath: url.path)
            guard names.isEmpty || names.contains("master.key") else {
                throw OAuthError(
                    .invalidConfiguration,
                    "the folder \(path) holds other things, and others can look into it; choose a folder of its own for the data")
            }
            try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: url.path)
        } catch let error as OAuthError { throw error } catch {
            throw OAuthError(.invalidConfiguration, "the folder \(path) cannot be made; choose another place for the data")
        }
    }

    /// The path of a file in the folder.
    public func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    /// The store in `auth.db`. Throws `temporarily_unavailable` saying why it cannot be used.
    public func store() throws(OAuthError) -> SQLiteStore {
        do throws(StoreError) { return try SQLiteStore(path: path("auth.db")) } catch {
            throw OAuthError(.temporarilyUnavailable, "\(path("auth.db")) cannot be used: \(error.detail)")
        }
    }

    /// The key in `master.key`, made on the first call. Throws `invalid_configuration`.
    ///
    /// It is written under another name and linked into place, so that no crash leaves half a key, and of two that start at once both get the same.
    public func masterKey() throws(OAuthError) -> MasterKey {
        let path = path("master.key")
        if !FileManager.default.fileExists(atPath: path) { try make(path) }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw OAuthError(.invalidConfiguration, "\(path) cannot be read; it must belong to the user who runs this")
        }
        return try MasterKey(Array(data))
    }

    private func make(_ path: String) throws(OAuthError) {
        let temporary = path + "." + RandomSource.system.token(bytes: 9)
        defer { unlink(temporary) }
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw OAuthError(.invalidConfiguration, "\(path) cannot be made: \(String(cString: strerror(errno)))") }
        let bytes = RandomSource.system.bytes(32)
        let isWritten = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten else { throw OAuthError(.invalidConfiguration, "\(path) cannot be written: \(String(cString: strerror(errno)))") }
        guard link(temporary, path) == 0 || errno == EEXIST else {
            throw OAuthError(.invalidConfiguration, "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
    }
}

extension AuthorizationServer {
    /// An authorization server that keeps everything in one folder. Throws what its parts throw.
    public convenience init(
        _ issuer: String, configuration: AuthorizationServerConfiguration, in folder: DataFolder, signIn: SignInMethod = .password,
        fetcher: (any HTTPFetcher)? = nil, audit: AuditLog = AuditLog()
    ) async throws(OAuthError) {
        try await self.init(
            issuer, configuration: configuration, store: try folder.store(), master: try folder.masterKey(), signIn: signIn, fetcher: fetcher,
            audit: audit)
    }

    /// The server of a folder, to administer it from another process, also while it runs. It serves nobody, and turns no keys by itself.
    ///
    /// Throws `invalid_configuration` when no server has used the folder yet.
    public convenience init(administering folder: DataFolder, audit: AuditLog = AuditLog()) async throws(OAuthError) {
        let store = try folder.store()
        let (issuer, keys): (String?, [SealedKey])
        do throws(StoreError) { (issuer, keys) = (try await store.issuer(), try await store.signingKeys()) } catch {
            throw OAuthError(.temporarilyUnavailable, "\(folder.path("auth.db")) cannot be read: \(error.detail)")
        }
        guard let issuer else {
            throw OAuthError(
                .invalidConfiguration, "there is no server's data in \(folder.path("")) yet; start the server once, or name another folder")
        }
        var configuration = AuthorizationServerConfiguration(resources: [try ProtectedResource(issuer, scopes: [])])
        // What it signs with in the order in which its keys were made; how often it turns them is the server's own affair.
        configuration.signingAlgorithms = []
        for key in keys {
            guard let algorithm = SigningAlgorithm(rawValue: key.algorithm), !configuration.signingAlgorithms.contains(algorithm) else { continue }
            configuration.signingAlgorithms.append(algorithm)
        }
        if configuration.signingAlgorithms.isEmpty { configuration.signingAlgorithms = [.es256] }
        configuration.keyRotation = KeyRotation(interval: 1 << 50)
        try await self.init(issuer, configuration: configuration, store: store, master: try folder.masterKey(), audit: audit)
    }
}

import Foundation
public import JOSE
public import MCPAuth
public import MCPAuthorizationServer
public import OAuth

/// A folder that holds all that an authorization server has: `auth.db`, and `master.key`, which seals what is in it.
/// Readable by its owner only.
///
/// A folder in which there was a store is no new one: where `auth.db` or `master.key` is missing, empty, damaged or
/// another program's, opening fails and says what to do. Back up both; without the key, the signing keys in the
/// database are lost, and every token with them.
public struct DataFolder: Sendable {
    private let url: URL
    private let insecureAllowReadableKey: Bool

    /// A folder in which there is a store, or was one, or nil: for commands that look at data and must not make any.
    public init?(existing path: String, insecureAllowReadableKey: Bool = false) throws(OAuthError) {
        let folder = URL(fileURLWithPath: path)
        let names = ["auth.db", DatabaseFile.markPath("auth.db"), "master.key"]
        guard names.contains(where: { FileManager.default.fileExists(atPath: folder.appendingPathComponent($0).path) }) else { return nil }
        try self.init(path, insecureAllowReadableKey: insecureAllowReadableKey)
    }

    /// Opens or makes the folder, and makes it private. A folder that holds other people's things is not touched:
    /// unless it is private already, it is refused. Throws `invalid_configuration` saying why it cannot be used.
    ///
    /// - Parameter insecureAllowReadableKey: takes a `master.key` that other users of the machine can read, as
    ///   containers mount secrets (mode 0444). Whoever reads it can read and forge everything.
    public init(_ path: String, insecureAllowReadableKey: Bool = false) throws(OAuthError) {
        self.insecureAllowReadableKey = insecureAllowReadableKey
        url = URL(fileURLWithPath: path)
        guard !path.isEmpty else {
            throw OAuthError(.invalidConfiguration, "the name of the data folder is empty; a variable such as DATA may be set to nothing")
        }
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
            var isFolder: ObjCBool = false
            if FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), !isFolder.boolValue {
                throw OAuthError(.invalidConfiguration, "\(path) is a file, not a folder. Choose another place for the data")
            }
            let what = FileManager.default.fileExists(atPath: url.path) ? "exists, but cannot be used" : "cannot be created"
            throw OAuthError(
                .invalidConfiguration,
                "the folder \(path) \(what): \(Self.reason(error)). Choose another place for the data, or run this as its owner")
        }
    }

    /// Why a file operation failed, in the words of the operating system.
    private static func reason(_ error: any Error) -> String {
        var code: Int32?
        var next: (any Error)? = error
        while let current = next {
            if let posix = current as? POSIXError { code = posix.code.rawValue }
            let cocoa = current as NSError
            if cocoa.domain == NSPOSIXErrorDomain { code = Int32(cocoa.code) }
            next = cocoa.userInfo[NSUnderlyingErrorKey] as? any Error
        }
        return code.map { String(cString: strerror($0)).lowercased() } ?? "the system does not allow it"
    }

    /// The path of a file in the folder.
    public func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    /// The store in `auth.db`. Throws `invalid_configuration` where it is damaged, lost or not this program's, and
    /// `temporarily_unavailable`, saying why it cannot be used.
    public func store() throws(OAuthError) -> SQLiteStore {
        // The key is created after the store, so a key with any other file of ours means that a store existed. A key
        // alone can be provisioned before the first start, as a container secret.
        func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }
        let auditSize = ((try? FileManager.default.attributesOfItem(atPath: path("audit.jsonl")))?[.size] as? NSNumber)?.intValue ?? 0
        let hadStore = exists("master.key") && (exists("auth.db") || exists("auth.db-wal") || auditSize > 0)
        do throws(StoreError) { return try SQLiteStore(path: path("auth.db"), expectsData: hadStore) } catch {
            if error.kind == .unusable { throw OAuthError(.invalidConfiguration, error.detail) }
            throw OAuthError(.temporarilyUnavailable, "\(path("auth.db")) cannot be used: \(error.detail)")
        }
    }

    /// Moves files out of the way and begins an empty store, on purpose: each gets `.old-TIME` behind its name, so
    /// nothing is lost. No server may be using them. The audit log stays, and goes on, and so does the master key,
    /// which may be shared with others. Returns the new names; throws `invalid_configuration` when a file cannot be
    /// moved.
    @discardableResult
    public func setAside(_ names: [String] = ["auth.db"], at now: NumericDate = Clock.system.now) throws(OAuthError) -> [String] {
        let suffix = ".old-" + now.iso8601.filter { $0.isLetter || $0.isNumber }
        var moved: [String] = []
        for name in names.flatMap({ [$0, $0 + "-wal", $0 + "-shm", DatabaseFile.markPath($0)] })
        where FileManager.default.fileExists(atPath: path(name)) {
            guard rename(path(name), path(name + suffix)) == 0 else {
                throw OAuthError(.invalidConfiguration, "\(path(name)) cannot be moved out of the way: \(String(cString: strerror(errno)))")
            }
            moved.append(name + suffix)
        }
        guard names.contains("auth.db") else { return moved }
        do throws(StoreError) { _ = try SQLiteStore(path: path("auth.db")) } catch {
            throw OAuthError(.invalidConfiguration, "\(path("auth.db")) cannot be made: \(error.detail)")
        }
        return moved
    }

    /// The key for a store that is open: one that was used before has its key already.
    func masterKey(for store: SQLiteStore) async throws(OAuthError) -> MasterKey {
        if !FileManager.default.fileExists(atPath: path("master.key")) {
            let wasUsed: Bool
            do throws(StoreError) { wasUsed = try await !store.signingKeys().isEmpty } catch {
                throw OAuthError(.temporarilyUnavailable, "\(path("auth.db")) cannot be read: \(error.detail)")
            }
            guard !wasUsed else {
                throw OAuthError(
                    .invalidConfiguration,
                    "\(path("master.key")) is missing, and the secrets in auth.db are sealed with it. Restore it from a backup. To begin with an empty store on "
                        + "purpose, which loses all accounts and grants, start the demo with --new-store, or call DataFolder.setAside in your program."
                )
            }
        }
        return try masterKey()
    }

    /// The key in `master.key`, made on the first call. Throws `invalid_configuration`.
    ///
    /// It is written under another name and linked into place, so that no crash leaves half a key, and of two that
    /// start at once both get the same.
    public func masterKey() throws(OAuthError) -> MasterKey {
        let path = path("master.key")
        if !FileManager.default.fileExists(atPath: path) { try make(path) }
        let mode = ((try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? NSNumber)?.intValue ?? 0
        guard mode & 0o077 == 0 || insecureAllowReadableKey else {
            throw OAuthError(
                .invalidConfiguration,
                "\(path) can be read by other users of this machine (its mode is 0\(String(mode, radix: 8))), and may have been. Make it private: chmod 600 \(path). "
                    + "Where it is mounted like this on purpose, pass --insecure-allow-readable-key to mcp-auth, and write DataFolder(_:insecureAllowReadableKey:) in your program."
            )
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw OAuthError(.invalidConfiguration, "\(path) cannot be read; it must belong to the user who runs this")
        }
        return try MasterKey(Array(data))
    }

    /// The audit log in `audit.jsonl`. Throws `invalid_configuration` when it cannot be opened, or other users can read
    /// it.
    public func auditLog() throws(OAuthError) -> AuditLog { AuditLog([try AuditFile(path: path("audit.jsonl"))]) }

    /// Copies everything that a server needs to a new folder: the database as it is at one moment, the key that seals
    /// it, and the audit log. The server may run meanwhile. To restore, stop the server, put the folder in the place of
    /// the old one, and end everything (`mcp-auth grants end-all`).
    ///
    /// The copy holds the master key, with which every token can be forged. Files of the application itself are not
    /// copied. Returns the names of the files. Throws `invalid_request` when the folder exists,
    /// `invalid_configuration` or `temporarily_unavailable`.
    public func backUp(to target: String) async throws(OAuthError) -> [String] {
        guard !FileManager.default.fileExists(atPath: target) else {
            throw OAuthError(.invalidRequest, "the folder \(target) exists; name a new folder for the backup")
        }
        let folder = try DataFolder(target)
        do throws(OAuthError) { return try await copy(to: folder) } catch {
            // Half a backup is none.
            try? FileManager.default.removeItem(atPath: target)
            throw error
        }
    }

    private func copy(to folder: DataFolder) async throws(OAuthError) -> [String] {
        let store = try store()
        do throws(StoreError) { try await store.backUp(to: folder.path("auth.db")) } catch {
            throw OAuthError(.temporarilyUnavailable, "the database was not copied: \(error.detail)")
        }
        var copied = ["auth.db"]
        let logs = ["audit.jsonl"] + (1...100).map { "audit.jsonl.\($0)" }
        for name in ["master.key", DatabaseFile.markPath("auth.db"), "server.json"] + logs
        where FileManager.default.fileExists(atPath: path(name)) {
            do { try FileManager.default.copyItem(atPath: path(name), toPath: folder.path(name)) } catch {
                throw OAuthError(.temporarilyUnavailable, "\(name) was not copied: \(Self.reason(error))")
            }
            try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder.path(name))
            copied.append(name)
        }
        return copied
    }

    fileprivate func audit(_ given: AuditLog?) throws(OAuthError) -> AuditLog {
        if let given { return given }
        return try auditLog()
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
    /// An authorization server that keeps everything in one folder: `auth.db`, `master.key`, `audit.jsonl`, and
    /// `server.json`, in which commands find the name, the resources and their scopes.
    ///
    /// Throws `invalid_configuration`, `invalid_identifier` or `temporarily_unavailable`. The configuration is checked
    /// before any file is written.
    ///
    /// - Parameter audit: nil records in `audit.jsonl` of the folder; `AuditLog()` records nothing.
    public convenience init(
        _ issuer: String, configuration: AuthorizationServerConfiguration, in folder: DataFolder, signIn: [SignInMethod] = [.password],
        fetcher: (any HTTPFetcher)? = nil, audit: AuditLog? = nil
    ) async throws(OAuthError) {
        try Self.check(issuer, configuration, signIn, hasFetcher: fetcher != nil)
        let store = try folder.store()
        let master = try await folder.masterKey(for: store)
        try await self.init(
            issuer, configuration: configuration, store: store, master: master, signIn: signIn, fetcher: fetcher, audit: try folder.audit(audit))
        folder.describe(configuration)
    }

    /// The server of a folder, to administer it from another process, also while it runs. It serves nobody, and turns
    /// no keys by itself.
    ///
    /// Throws `invalid_configuration` when no server has used the folder yet.
    ///
    /// - Parameter audit: nil records in `audit.jsonl` of the folder.
    public convenience init(administering folder: DataFolder, audit: AuditLog? = nil) async throws(OAuthError) {
        let store = try folder.store()
        let (issuer, keys): (String?, [SealedKey])
        do throws(StoreError) { (issuer, keys) = (try await store.issuer(), try await store.signingKeys()) } catch {
            throw OAuthError(.temporarilyUnavailable, "\(folder.path("auth.db")) cannot be read: \(error.detail)")
        }
        guard let issuer else {
            throw OAuthError(
                .invalidConfiguration, "there is no server's data in \(folder.path("")) yet; start the server once, or name another folder")
        }
        let (name, described) = folder.description()
        var configuration = AuthorizationServerConfiguration(
            resources: described.isEmpty ? [try ProtectedResource(issuer, scopes: [])] : described)
        configuration.name = name
        // The running server checks its own configuration.
        configuration.isOpenIDProvider = described.allSatisfy { $0.scopes.allSatisfy { !["openid", "profile", "email"].contains($0.scope.text) } }
        // What it signs with in the order in which its keys were made; how often it turns them is the server's own
        // affair.
        configuration.signingAlgorithms = []
        for key in keys {
            guard let algorithm = SigningAlgorithm(rawValue: key.algorithm), !configuration.signingAlgorithms.contains(algorithm) else { continue }
            configuration.signingAlgorithms.append(algorithm)
        }
        if configuration.signingAlgorithms.isEmpty { configuration.signingAlgorithms = [.es256] }
        configuration.keyRotation = KeyRotation(interval: 1 << 50)
        let master = try await folder.masterKey(for: store)
        try await self.init(
            issuer, configuration: configuration, store: store, master: master, audit: try folder.audit(audit))
    }
}

import Crypto
import CryptoExtras
import Foundation
import JOSE
public import OAuth

/// A store in a folder, which several processes may share.
///
/// The folder has mode 0700 and its files 0600 from the moment they exist. A value is written to a new file that
/// replaces the old one, so a crash at any moment leaves the old or the new one. Locks are advisory locks of the
/// operating system, which end with the process. Symbolic links, files with several names, and files of other users are
/// refused. With a key or a passphrase the values are sealed (AES-256-GCM); without, the mode of the files protects
/// them.
public final class FileTokenStore: TokenStore {
    /// What protects the values beside the mode of the files.
    public enum Sealing: Sendable {
        /// Nothing.
        case none
        /// A key is derived from it (scrypt).
        case passphrase(String)
        /// A key of 32 bytes, for example from the keychain.
        case key([UInt8])
    }

    /// The folder.
    public let folder: String
    private let key: SymmetricKey?
    private let onWait: (@Sendable (_ process: Int32?) -> Void)?

    /// Opens a folder, and creates it with mode 0700 if it does not exist. Throws `invalid_configuration` when it
    /// cannot be used, saying why.
    ///
    /// - Parameter onWait: Called when a caller has waited for a lock for a second, with the identifier of the process
    ///   that holds it, if that is known. Programs tell their user, who may have left a sign-in open elsewhere.
    public init(
        folder: String, sealing: Sealing = .none, onWait: (@Sendable (_ process: Int32?) -> Void)? = nil
    ) throws(OAuthError) {
        self.folder = folder
        self.onWait = onWait
        try Self.prepare(folder)
        Self.sweep(folder)
        switch sealing {
        case .none: key = nil
        case .key(let bytes):
            guard bytes.count == 32 else { throw OAuthError(.invalidConfiguration, "the key of the token store has 32 bytes") }
            key = SymmetricKey(data: bytes)
        case .passphrase(let passphrase):
            let salt = try Self.salt(in: folder)
            guard !passphrase.isEmpty,
                let derived = try? KDF.Scrypt.deriveKey(
                    from: Array(passphrase.utf8), salt: salt, outputByteCount: 32, rounds: 1 << 15, blockSize: 8, parallelism: 1, maxMemory: 128 << 20
                )
            else { throw OAuthError(.invalidConfiguration, "the passphrase of the token store cannot be used; it must not be empty") }
            key = derived
        }
    }

    /// Whether this store seals what it writes. Earlier values stay as they are until they are written again; see
    /// `unsealedCount`.
    public var isSealed: Bool { key != nil }

    /// The number of values in the folder that are plain text. Throws like every `TokenStore`.
    public func unsealedCount() throws(OAuthError) -> Int {
        var count = 0
        for name in try fileNames() {
            guard let bytes = try readFile("\(folder)/\(name)"), let json = try? JSONValue(parsing: bytes) else { continue }
            if json["sealed"] == nil, json["key"] != nil { count += 1 }
        }
        return count
    }

    // MARK: Values

    /// The value of a key, or nil. Throws like every `TokenStore`.
    public func read(_ key: String) async throws(OAuthError) -> [UInt8]? {
        guard let bytes = try readFile(path(key)) else { return nil }
        return try open(bytes).flatMap { $0.key.utf8.elementsEqual(key.utf8) ? $0.value : nil }
    }

    /// Sets the value of a key.
    public func write(_ value: [UInt8], for key: String) async throws(OAuthError) {
        try replace(path(key), with: try seal(key, value))
    }

    /// Removes a key, if it is there.
    public func remove(_ key: String) async throws(OAuthError) {
        guard unlink(path(key)) == 0 || errno == ENOENT else { throw failure("cannot be removed", path(key)) }
    }

    /// Every key.
    public func keys() async throws(OAuthError) -> [String] {
        var keys: [String] = []
        for name in try fileNames() {
            if let bytes = try readFile("\(folder)/\(name)"), let found = try open(bytes) { keys.append(found.key) }
        }
        return keys
    }

    private func fileNames() throws(OAuthError) -> [String] {
        do { return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".json") } } catch {
            throw failure("cannot be read", folder)
        }
    }

    /// Runs `body` alone for this key.
    public func withLock<Result: Sendable>(
        _ key: String, timeout: Duration, _ body: @Sendable () async throws(OAuthError) -> Result
    ) async throws(OAuthError) -> Result {
        let path = "\(folder)/\(Self.name(key)).lock"
        let descriptor = Foundation.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("cannot be locked", path) }
        // Closing releases the lock. The file stays: removing it would let two processes hold locks on two files.
        defer { close(descriptor) }
        let begin = ContinuousClock.now
        var isSilent = true
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw failure("cannot be locked", path) }
            if isSilent, ContinuousClock.now - begin >= .seconds(1) {
                isSilent = false
                onWait?(Self.holder(descriptor))
            }
            try await TokenStoreWaiting.pause(until: begin + timeout, key)
        }
        Self.sign(descriptor)
        return try await body()
    }

    /// Writes which process holds the lock, for those who wait.
    private static func sign(_ descriptor: Int32) {
        let text = Array("\(getpid())\n".utf8)
        // A lock without a name is as good.
        if pwrite(descriptor, text, text.count, 0) == text.count { _ = ftruncate(descriptor, off_t(text.count)) }
    }

    private static func holder(_ descriptor: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return nil }
        return Int32(String(decoding: bytes.prefix(count).prefix { $0 != 0x0A }, as: UTF8.self))
    }

    // MARK: Content

    /// The name of a file says nothing about the server.
    private static func name(_ key: String) -> String {
        SHA256.hash(data: Array(key.utf8)).prefix(16).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    private func path(_ key: String) -> String { "\(folder)/\(Self.name(key)).json" }

    private func seal(_ name: String, _ value: [UInt8]) throws(OAuthError) -> [UInt8] {
        let content: JSONValue = ["key": .string(name), "value": .string(String(decoding: value, as: UTF8.self))]
        guard let key else { return content.serialized }
        guard let box = try? AES.GCM.seal(content.serialized, using: key), let combined = box.combined else {
            throw OAuthError(.serverError, "the token store could not seal")
        }
        return JSONValue.object(["sealed": .string(Base64URL.encode(combined))]).serialized
    }

    /// Nil for a file that is not one of this store.
    private func open(_ bytes: [UInt8]) throws(OAuthError) -> (key: String, value: [UInt8])? {
        guard var json = try? JSONValue(parsing: bytes) else { return nil }
        if let sealed = json["sealed"]?.string {
            guard let key else {
                throw OAuthError(
                    .invalidConfiguration, "the token store \(folder) is sealed; give its passphrase or key, or remove the folder and sign in again")
            }
            guard let combined = try? Base64URL.decode(sealed), let box = try? AES.GCM.SealedBox(combined: combined),
                let plain = try? AES.GCM.open(box, using: key), let inner = try? JSONValue(parsing: Array(plain))
            else {
                throw OAuthError(
                    .invalidConfiguration, "the passphrase or key does not fit the token store \(folder); nothing was changed")
            }
            json = inner
        }
        guard let name = json["key"]?.string, let value = json["value"]?.string else { return nil }
        return (name, Array(value.utf8))
    }

    // MARK: Files

    private static func prepare(_ folder: String) throws(OAuthError) {
        let isNew = !FileManager.default.fileExists(atPath: folder)
        if isNew {
            do {
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            } catch { throw OAuthError(.invalidConfiguration, "the folder \(folder) of the token store cannot be created") }
            chmod(folder, 0o700)
        }
        var status = stat()
        guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw OAuthError(.invalidConfiguration, "the token store \(folder) is not a folder")
        }
        guard status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
            throw OAuthError(
                .invalidConfiguration, "other users can reach the token store \(folder). Make it yours alone: chmod 700 \(folder)")
        }
    }

    /// Removes what a process left that was killed while it wrote.
    private static func sweep(_ folder: String) {
        let oldest = time(nil) - 3600
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.hasSuffix(".tmp") {
            var status = stat()
            guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
            #if canImport(Darwin)
                let changed = status.st_mtimespec.tv_sec
            #else
                let changed = status.st_mtim.tv_sec
            #endif
            if changed < oldest { unlink("\(folder)/\(name)") }
        }
    }

    private static func salt(in folder: String) throws(OAuthError) -> [UInt8] {
        let path = "\(folder)/salt"
        if let data = FileManager.default.contents(atPath: path), data.count == 16 { return Array(data) }
        let salt = RandomSource.system.bytes(16)
        let temporary = "\(path).\(RandomSource.system.token(bytes: 9)).tmp"
        let descriptor = Foundation.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw OAuthError(.temporarilyUnavailable, "the token store cannot be written: \(folder)") }
        let isWritten = Foundation.write(descriptor, salt, 16) == 16 && fsync(descriptor) == 0
        close(descriptor)
        // The name is given to a whole file, once; a process that was faster has given its own.
        if isWritten { link(temporary, path) }
        unlink(temporary)
        guard let data = FileManager.default.contents(atPath: path), data.count == 16 else {
            throw OAuthError(.temporarilyUnavailable, "the salt of the token store cannot be written: \(path)")
        }
        return Array(data)
    }

    private func failure(_ what: String, _ path: String) -> OAuthError {
        let reason = String(cString: strerror(errno))
        return OAuthError(.temporarilyUnavailable, "the token store \(what): \(path): \(reason)")
    }

    private func readFile(_ path: String) throws(OAuthError) -> [UInt8]? {
        let descriptor = Foundation.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            if errno == ELOOP { throw OAuthError(.invalidConfiguration, "\(path) is a symbolic link; remove it and sign in again") }
            throw failure("cannot be read", path)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("cannot be read", path) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_nlink <= 1, status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
            throw OAuthError(
                .invalidConfiguration,
                "\(path) is not a private file of yours (mode 0600, one name); others may know its tokens. Remove it and sign in again")
        }
        guard status.st_size <= 1 << 20 else { throw OAuthError(.invalidConfiguration, "\(path) is too large to be a token") }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let read = bytes.withUnsafeMutableBytes { Foundation.read(descriptor, $0.baseAddress! + count, $0.count - count) }
            if read < 0, errno == EINTR { continue }
            guard read > 0 else { break }
            count += read
        }
        return Array(bytes.prefix(count))
    }

    private func replace(_ path: String, with bytes: [UInt8]) throws(OAuthError) {
        let temporary = "\(path).\(RandomSource.system.token(bytes: 9)).tmp"
        let descriptor = Foundation.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("cannot be written", path) }
        var isOpen = true
        do throws(OAuthError) {
            var count = 0
            while count < bytes.count {
                let written = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress! + count, $0.count - count) }
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { throw failure("cannot be written", path) }
                count += written
            }
            guard fsync(descriptor) == 0 else { throw failure("cannot be written", path) }
            isOpen = false
            guard close(descriptor) == 0 else { throw failure("cannot be written", path) }
            guard rename(temporary, path) == 0 else { throw failure("cannot be written", path) }
        } catch {
            if isOpen { close(descriptor) }
            unlink(temporary)
            throw error
        }
        let directory = Foundation.open(folder, O_RDONLY | O_CLOEXEC)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
    }
}

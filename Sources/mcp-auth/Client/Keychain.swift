import Foundation
import JOSE
import OAuth

#if canImport(Security)
    import Security
#endif

/// The key of the token store in the keychain of the desktop: the macOS Keychain, or the Secret Service of Linux
/// (`secret-tool`). The tokens themselves stay in the file store, sealed with it.
enum Keychain {
    private static let service = "mcp-auth token store"

    /// The key, which is made at the first use. Throws `temporarily_unavailable` when there is no keychain, or it does
    /// not answer within five seconds.
    static func key() throws(OAuthError) -> [UInt8] {
        if let text = try read() {
            guard let key = try? Base64URL.decode(text), key.count == 32 else {
                throw OAuthError(.invalidConfiguration, "the entry \"\(service)\" of the keychain is not a key; remove it and sign in again")
            }
            return key
        }
        let key = RandomSource.system.bytes(32)
        try write(Base64URL.encode(key))
        // Two processes may have made one each; the stored one counts.
        guard let text = try read(), let stored = try? Base64URL.decode(text), stored.count == 32 else {
            throw OAuthError(.temporarilyUnavailable, "the keychain did not keep the key of the token store")
        }
        return stored
    }

    #if canImport(Security)
        private static var query: [String: Any] {
            [kSecClass as String: kSecClassGenericPassword, kSecAttrService as String: service, kSecAttrAccount as String: "key"]
        }

        private static func read() throws(OAuthError) -> String? {
            var query = query
            query[kSecReturnData as String] = true
            var item: CFTypeRef?
            switch SecItemCopyMatching(query as CFDictionary, &item) {
            case errSecSuccess: return (item as? Data).map { String(decoding: $0, as: UTF8.self) }
            case errSecItemNotFound: return nil
            case let status: throw OAuthError(.temporarilyUnavailable, "the keychain answers \(status)")
            }
        }

        private static func write(_ text: String) throws(OAuthError) {
            var query = query
            query[kSecValueData as String] = Data(text.utf8)
            query[kSecAttrAccessible as String] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
            let status = SecItemAdd(query as CFDictionary, nil)
            guard status == errSecSuccess || status == errSecDuplicateItem else {
                throw OAuthError(.temporarilyUnavailable, "the keychain answers \(status)")
            }
        }
    #else
        private static func read() throws(OAuthError) -> String? {
            let (status, output) = try run(["lookup", "application", "mcp-auth", "purpose", "token-store"], input: nil)
            return status == 0 && !output.isEmpty ? output : nil
        }

        private static func write(_ text: String) throws(OAuthError) {
            let (status, _) = try run(["store", "--label=\(service)", "application", "mcp-auth", "purpose", "token-store"], input: text)
            guard status == 0 else {
                throw OAuthError(
                    .temporarilyUnavailable,
                    "no Secret Service (keyring) accepts the key of the token store. Without a desktop session, seal the store with "
                        + "MCP_AUTH_TOKEN_STORE_PASSPHRASE instead")
            }
        }

        /// Runs secret-tool, which gets the secret on its input, so that no other user sees it.
        private static func run(_ arguments: [String], input: String?) throws(OAuthError) -> (Int32, String) {
            guard let path = ["/usr/bin/secret-tool", "/usr/local/bin/secret-tool"].first(where: FileManager.default.isExecutableFile) else {
                throw OAuthError(
                    .temporarilyUnavailable,
                    "secret-tool is not installed (Debian: libsecret-tools), which the keychain needs")
            }
            let process = Process()
            process.executableURL = URL(fileURLWithPath: path)
            process.arguments = arguments
            let (stdin, stdout) = (Pipe(), Pipe())
            process.standardInput = stdin
            process.standardOutput = stdout
            process.standardError = FileHandle.nullDevice
            do { try process.run() } catch { throw OAuthError(.temporarilyUnavailable, "secret-tool cannot be started") }
            if let input { stdin.fileHandleForWriting.write(Data(input.utf8)) }
            try? stdin.fileHandleForWriting.close()
            // A keyring that waits for a password nobody can type must not hold the sign-in up.
            let end = Date().addingTimeInterval(5)
            while process.isRunning {
                guard Date() < end else {
                    process.terminate()
                    throw OAuthError(
                        .temporarilyUnavailable,
                        "the keyring does not answer; unlock it")
                }
                usleep(10_000)
            }
            let data = (try? stdout.fileHandleForReading.readToEnd()) ?? nil
            return (process.terminationStatus, String(decoding: data ?? Data(), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
        }
    #endif
}

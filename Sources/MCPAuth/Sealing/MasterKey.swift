package import Crypto
import JOSE
public import OAuth

/// The one secret of a server. Every other key is derived from it, one for each purpose. It never leaves the process,
/// and its description does not contain it.
public struct MasterKey: Sendable, CustomStringConvertible, CustomReflectable {
    private let key: SymmetricKey

    /// From at least 32 random bytes. Throws `invalid_configuration` when there are fewer. Their randomness is not
    /// checked.
    public init(_ bytes: [UInt8]) throws(OAuthError) {
        guard bytes.count >= 32 else {
            throw OAuthError(.invalidConfiguration, "a master key has at least 32 random bytes: openssl rand -out master.key 32")
        }
        key = SymmetricKey(data: bytes)
    }

    /// A new random key, for servers whose data need not survive a restart.
    public static func random() -> MasterKey { MasterKey(key: SymmetricKey(size: .bits256)) }

    private init(key: SymmetricKey) { self.key = key }

    /// Encrypts values for one purpose.
    package func sealer(for purpose: String) -> Sealer { Sealer(key: derivedKey(for: purpose)) }

    /// A key for one purpose (HKDF with SHA-256).
    package func derivedKey(for purpose: String) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(inputKeyMaterial: key, info: Array("mcp-auth \(purpose)".utf8), outputByteCount: 32)
    }

    /// `derivedKey(for:)` as base64url. As secret as the key.
    package func derivedText(for purpose: String) -> String { derivedKey(for: purpose).withUnsafeBytes { Base64URL.encode(Array($0)) } }

    public var description: String { "MasterKey" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Encrypts values that must be read again (AES-256-GCM). A value that was sealed for one owner cannot be opened for
/// another.
package struct Sealer: Sendable {
    private let key: SymmetricKey

    package init(key: SymmetricKey) { self.key = key }

    /// Throws `server_error` when the encryption fails.
    package func seal(_ bytes: [UInt8], owner: String) throws(OAuthError) -> [UInt8] {
        guard let box = try? AES.GCM.seal(bytes, using: key, authenticating: Array(owner.utf8)), let combined = box.combined else {
            throw OAuthError(.serverError, "could not seal")
        }
        return Array(combined)
    }

    /// Nil for a value that was not sealed with this key for this owner.
    package func open(_ sealed: [UInt8], owner: String) -> [UInt8]? {
        guard let box = try? AES.GCM.SealedBox(combined: sealed), let bytes = try? AES.GCM.open(box, using: key, authenticating: Array(owner.utf8))
        else { return nil }
        return Array(bytes)
    }
}

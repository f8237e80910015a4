import Crypto
import JOSE
import MCPAuth
import OAuth

/// What a session of the handshake wire is: settled at `initialize`, and carried by the client in `Mcp-Session-Id`.
struct SessionContents: Sendable, Equatable {
    /// 128 random bits.
    let id: [UInt8]
    /// Issuer and subject, hashed; nil where the session was opened without a token.
    let owner: [UInt8]?
    /// The revision that was settled on.
    let version: String
    /// What the client can do when it is asked, of `Self.capabilities`.
    let capabilities: Set<String>
    let expiresAt: NumericDate

    /// The client capabilities that a session remembers.
    static let capabilities = ["elicitation", "sampling", "roots"]
    /// Seconds after which a session ends, however much it is used.
    static let lifetime: Int64 = 7 * 86400

    static func hash(owner: String) -> [UInt8] { Array(SHA256.hash(data: Array(owner.utf8))) }
}

/// Seals sessions into identifiers, so that every instance that has the key takes them, also after a restart, and none costs memory. A session
/// proves nothing: whoever sends one needs a token of the user who opened it all the same.
struct SessionSeal: Sendable {
    private let sealer: Sealer
    /// A session of one resource is none of another, also where they share a key.
    private let resource: String

    private static let format: UInt8 = 1
    static let maximumBytes = 256

    init(_ key: SymmetricKey, resource: ResourceIdentifier) {
        sealer = Sealer(key: key)
        self.resource = "mcp session " + resource.text
    }

    /// Nil only if sealing fails.
    func seal(_ session: SessionContents) -> String? {
        guard let version = ProtocolVersion.handshake.firstIndex(of: session.version) else { return nil }
        var flags: UInt8 = session.owner == nil ? 0 : 0x80
        for (index, name) in SessionContents.capabilities.enumerated() where session.capabilities.contains(name) { flags |= 1 << UInt8(index) }
        let expiry = (0..<8).map { UInt8(truncatingIfNeeded: session.expiresAt.seconds >> (56 - 8 * $0)) }
        let bytes = [Self.format, UInt8(version), flags] + expiry + session.id + (session.owner ?? [])
        do throws(OAuthError) { return Base64URL.encode(try sealer.seal(bytes, owner: resource)) } catch { return nil }
    }

    /// Nil for what was not sealed with this key for this resource, and for what has expired.
    func open(_ text: String, at now: NumericDate) -> SessionContents? {
        guard text.utf8.count <= Self.maximumBytes, let sealed = try? Base64URL.decode(text), let bytes = sealer.open(sealed, owner: resource),
            bytes.count == 27 || bytes.count == 59, bytes[0] == Self.format, Int(bytes[1]) < ProtocolVersion.handshake.count,
            (bytes[2] & 0x80 != 0) == (bytes.count == 59)
        else { return nil }
        let expiresAt = NumericDate(seconds: bytes[3..<11].reduce(0) { $0 << 8 | Int64($1) })
        guard now < expiresAt, expiresAt.seconds(since: now) <= SessionContents.lifetime + 60 else { return nil }
        let capabilities = SessionContents.capabilities.enumerated().filter { bytes[2] & 1 << UInt8($0.offset) != 0 }.map(\.element)
        return SessionContents(
            id: Array(bytes[11..<27]), owner: bytes.count == 59 ? Array(bytes[27...]) : nil, version: ProtocolVersion.handshake[Int(bytes[1])],
            capabilities: Set(capabilities), expiresAt: expiresAt)
    }
}

import Crypto
import JOSE
import MCPAuth
import OAuth

/// The contents of a session of the handshake revisions. They are negotiated at `initialize`, and the client carries
/// them in `Mcp-Session-Id`.
struct SessionContents: Sendable, Equatable {
    /// 128 random bits.
    let id: [UInt8]
    /// The hash of issuer and subject. Nil when the session was opened without a token.
    let owner: [UInt8]?
    /// The negotiated revision.
    let version: String
    /// The capabilities of the client, from `Self.capabilities`.
    let capabilities: Set<String>
    let expiresAt: NumericDate

    /// The client capabilities that a session remembers.
    static let capabilities = ["elicitation", "sampling", "roots", urlElicitation]
    /// The capability to open URLs during a call, which only MCP 2025-11-25 has among these revisions.
    static let urlElicitation = "elicitation.url"
    /// The number of seconds after which a session expires, even if it is in use.
    static let lifetime: Int64 = 7 * 86400

    static func hash(owner: String) -> [UInt8] { Array(SHA256.hash(data: Array(owner.utf8))) }
}

/// Encrypts sessions into identifiers. Every instance with the key accepts them, also after a restart, and they take no
/// memory. A session proves nothing: its sender also needs a token of the user who opened it.
struct SessionSeal: Sendable {
    private let sealer: Sealer
    /// A session of one resource is not valid for another, even with the same key.
    private let resource: String

    private static let format: UInt8 = 1
    static let maximumBytes = 256

    init(_ key: SymmetricKey, resource: ResourceIdentifier) {
        sealer = Sealer(key: key)
        self.resource = "mcp session " + resource.text
    }

    /// Nil only if encryption fails.
    func seal(_ session: SessionContents) -> String? {
        guard let version = ProtocolVersion.handshake.firstIndex(of: session.version) else { return nil }
        var flags: UInt8 = session.owner == nil ? 0 : 0x80
        for (index, name) in SessionContents.capabilities.enumerated() where session.capabilities.contains(name) { flags |= 1 << UInt8(index) }
        let expiry = (0..<8).map { UInt8(truncatingIfNeeded: session.expiresAt.seconds >> (56 - 8 * $0)) }
        let bytes = [Self.format, UInt8(version), flags] + expiry + session.id + (session.owner ?? [])
        do throws(OAuthError) { return Base64URL.encode(try sealer.seal(bytes, owner: resource)) } catch { return nil }
    }

    /// Nil for a text that was not sealed with this key for this resource, and for an expired session.
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

import GRDB
import MCPAuthorizationServer

/// The tables. A version only adds to the previous one.
enum Schema {
    static let version = 9

    /// "MCPA".
    private static let applicationID: Int32 = 0x4D43_5041

    static func file(_ path: String) -> DatabaseFile {
        DatabaseFile(path, applicationID: applicationID, tables: ["clients", "users", "sessions", "codes", "grants", "signing_keys"])
    }

    static func migrate(_ db: Database) throws {
        let found = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard found <= version else {
            throw StoreError(.unusable, "the database was written by a newer version of this program (schema \(found), this one knows \(version))")
        }
        // A start that fails for another reason leaves the file unchanged.
        guard found < version else { return }
        if found < 1 { try db.execute(sql: first) }
        if found < 2 { try db.execute(sql: second) }
        if found < 3 { try db.execute(sql: third) }
        if found < 4 { try db.execute(sql: fourth) }
        if found < 5 { try db.execute(sql: fifth) }
        if found < 6 { try db.execute(sql: sixth) }
        if found < 7 { try db.execute(sql: seventh) }
        if found < 8 { try db.execute(sql: eighth) }
        if found < 9 { try db.execute(sql: ninth) }
        try db.execute(sql: "PRAGMA user_version = \(version)")
    }

    static let first = """
        CREATE TABLE clients (
          id TEXT PRIMARY KEY NOT NULL, name TEXT, redirect_uris TEXT NOT NULL, auth_method TEXT NOT NULL, secret_hash BLOB, grant_types TEXT NOT NULL,
          origin TEXT NOT NULL, created_at INTEGER NOT NULL, introspects TEXT
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX clients_by_origin ON clients (origin);
        CREATE TABLE users (
          id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE, password TEXT, is_disabled INTEGER NOT NULL, created_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE sessions (
          hash BLOB PRIMARY KEY NOT NULL, user_id TEXT NOT NULL, authenticated_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX sessions_by_expiry ON sessions (expires_at);
        CREATE TABLE transactions (hash BLOB PRIMARY KEY NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX transactions_by_expiry ON transactions (expires_at);
        CREATE TABLE codes (
          hash BLOB PRIMARY KEY NOT NULL, client_id TEXT NOT NULL, user_id TEXT NOT NULL, redirect_uri TEXT NOT NULL, challenge TEXT NOT NULL,
          scope TEXT NOT NULL, resource TEXT NOT NULL, expires_at INTEGER NOT NULL, grant_id TEXT
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX codes_by_expiry ON codes (expires_at);
        CREATE INDEX codes_by_client ON codes (client_id);
        CREATE INDEX clients_by_age ON clients (created_at);
        CREATE TABLE grants (
          id TEXT PRIMARY KEY NOT NULL, client_id TEXT NOT NULL, user_id TEXT NOT NULL, scope TEXT NOT NULL, resource TEXT NOT NULL,
          created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, last_used_at INTEGER NOT NULL, revoked_at INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX grants_by_user ON grants (user_id);
        CREATE INDEX grants_by_client ON grants (client_id);
        CREATE INDEX grants_by_expiry ON grants (expires_at);
        CREATE INDEX grants_by_revocation ON grants (revoked_at) WHERE revoked_at IS NOT NULL;
        CREATE TABLE refresh_tokens (
          hash BLOB PRIMARY KEY NOT NULL, grant_id TEXT NOT NULL, expires_at INTEGER NOT NULL, used_at INTEGER, successor BLOB, sealed_successor BLOB
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id);
        CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);
        CREATE TABLE revoked_tokens (id TEXT PRIMARY KEY NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE consents (
          user_id TEXT NOT NULL, client_id TEXT NOT NULL, resource TEXT NOT NULL, redirect_uri TEXT NOT NULL, scope TEXT NOT NULL,
          PRIMARY KEY (user_id, client_id, resource, redirect_uri, scope)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE signing_keys (
          id TEXT PRIMARY KEY NOT NULL, algorithm TEXT NOT NULL, sealed BLOB NOT NULL, created_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    /// For other grant types, devices, key rotation and the command line.
    private static let second = """
        ALTER TABLE clients ADD COLUMN details TEXT;
        ALTER TABLE users ADD COLUMN display_name TEXT;
        ALTER TABLE users ADD COLUMN identity_issuer TEXT;
        ALTER TABLE users ADD COLUMN identity_subject TEXT;
        ALTER TABLE users ADD COLUMN one_time_secret BLOB;
        ALTER TABLE users ADD COLUMN one_time_step INTEGER;
        CREATE UNIQUE INDEX users_by_identity ON users (identity_issuer, identity_subject) WHERE identity_issuer IS NOT NULL;
        CREATE INDEX sessions_by_user ON sessions (user_id);
        ALTER TABLE codes ADD COLUMN key_thumbprint TEXT;
        ALTER TABLE codes ADD COLUMN nonce TEXT;
        ALTER TABLE codes ADD COLUMN authenticated_at INTEGER;
        ALTER TABLE grants ADD COLUMN type TEXT NOT NULL DEFAULT 'authorization_code';
        ALTER TABLE grants ADD COLUMN key_thumbprint TEXT;
        ALTER TABLE grants ADD COLUMN authenticated_at INTEGER;
        ALTER TABLE grants ADD COLUMN last_operation TEXT;
        ALTER TABLE signing_keys ADD COLUMN active_from INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE settings (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE devices (
          hash BLOB PRIMARY KEY NOT NULL, user_code BLOB NOT NULL UNIQUE, client_id TEXT NOT NULL, scope TEXT NOT NULL, resource TEXT NOT NULL,
          interval INTEGER NOT NULL, expires_at INTEGER NOT NULL, state TEXT NOT NULL, user_id TEXT, approved_scope TEXT, authenticated_at INTEGER,
          polled_at INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX devices_by_expiry ON devices (expires_at);
        """

    /// The indexes of the sweep and of the deletion of clients.
    private static let third = """
        CREATE INDEX codes_by_user ON codes (user_id);
        CREATE INDEX devices_by_user ON devices (user_id);
        CREATE INDEX consents_by_client ON consents (client_id);
        CREATE INDEX devices_by_client ON devices (client_id);
        CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);
        CREATE INDEX revoked_tokens_by_revocation ON revoked_tokens (revoked_at);
        """

    /// A grant refers to its latest refresh token and the previous one. The old table gets no new rows and is renamed,
    /// so that a running process of an older version fails and does not diverge. The latest unused token of each grant,
    /// of which there is one, becomes its latest token.
    private static let fourth = """
        ALTER TABLE grants ADD COLUMN refresh_hash BLOB;
        ALTER TABLE grants ADD COLUMN refresh_expires_at INTEGER;
        ALTER TABLE grants ADD COLUMN previous_refresh_hash BLOB;
        ALTER TABLE grants ADD COLUMN refreshed_at INTEGER;
        UPDATE grants SET (refresh_hash, refresh_expires_at) = (
          SELECT hash, expires_at FROM refresh_tokens WHERE grant_id = grants.id AND used_at IS NULL ORDER BY expires_at DESC LIMIT 1);
        UPDATE grants SET (previous_refresh_hash, refreshed_at) = (
          SELECT hash, used_at FROM refresh_tokens WHERE grant_id = grants.id AND successor = grants.refresh_hash)
        WHERE refresh_hash IS NOT NULL;
        ALTER TABLE refresh_tokens RENAME TO earlier_refresh_tokens;
        """

    /// Users have e-mail addresses. A grant records the latest `iat` of the access tokens that were used. For grants
    /// that were refreshed earlier, a use is assumed.
    private static let fifth = """
        ALTER TABLE users ADD COLUMN email TEXT;
        ALTER TABLE users ADD COLUMN email_verified INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE grants ADD COLUMN used_token_issued_at INTEGER;
        ALTER TABLE grants ADD COLUMN recoveries INTEGER NOT NULL DEFAULT 0;
        UPDATE grants SET used_token_issued_at = refreshed_at WHERE refreshed_at IS NOT NULL;
        """

    /// Users have recovery codes for lost authenticator apps. Sessions record the name of their browser.
    private static let sixth = """
        ALTER TABLE users ADD COLUMN recovery_codes TEXT;
        ALTER TABLE sessions ADD COLUMN browser TEXT;
        """

    /// Sign-ins through identity providers, and the connections of users with them.
    private static let seventh = """
        CREATE TABLE pending_sign_ins (hash BLOB PRIMARY KEY NOT NULL, sealed BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE INDEX pending_sign_ins_by_expiry ON pending_sign_ins (expires_at);
        CREATE TABLE connections (
          issuer TEXT NOT NULL, subject TEXT NOT NULL, user_id TEXT NOT NULL, provider TEXT NOT NULL, account_name TEXT, sealed_tokens BLOB, permissions TEXT,
          checked_at INTEGER NOT NULL, revision INTEGER NOT NULL, claimed_until INTEGER, PRIMARY KEY (issuer, subject)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX connections_by_user ON connections (user_id);
        """

    /// Connections record the roles of the user, as a JSON array.
    private static let eighth = "ALTER TABLE connections ADD COLUMN roles TEXT;"

    /// Sessions record the session at the identity provider, for logout tokens that name it. The tokens of deleted
    /// users wait for their revocation at the provider.
    private static let ninth = """
        ALTER TABLE sessions ADD COLUMN provider_session BLOB;
        CREATE INDEX sessions_by_provider_session ON sessions (provider_session) WHERE provider_session IS NOT NULL;
        CREATE TABLE ended_connections (
          id INTEGER PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, user_id TEXT NOT NULL, provider TEXT NOT NULL,
          sealed_tokens BLOB NOT NULL, ended_at INTEGER NOT NULL
        ) STRICT;
        """
}

import OAuth

/// The rotation of signing keys (requirement 132). A new key is published before it signs. An old key stays published
/// until every token that it signed has expired.
public struct KeyRotation: Sendable, Hashable {
    /// The number of seconds for which one key signs. At least 3600.
    public var interval: Int64
    /// The number of seconds for which a key is published before its first signature, so that caches of the key set
    /// contain it in time. At least 600, and less than `interval`.
    public var publishedAhead: Int64

    /// By default a key signs for 30 days and is published a day ahead. The server checks the values when it starts.
    public init(interval: Int64 = 30 * 86400, publishedAhead: Int64 = 86400) {
        self.interval = interval
        self.publishedAhead = publishedAhead
    }

    /// The number of seconds after which a replaced key is deleted. No access token lives longer.
    static let keptAfterwards = AuthorizationServerConfiguration.maximumAccessTokenLifetime + 300

    func check() throws(OAuthError) {
        guard interval >= 3600, publishedAhead >= 600, publishedAhead < interval else {
            throw OAuthError(
                .invalidConfiguration, "keyRotation: the interval is an hour or more, publishedAhead ten minutes or more and less than the interval")
        }
    }
}

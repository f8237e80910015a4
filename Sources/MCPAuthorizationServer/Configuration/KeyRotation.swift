import OAuth

/// When signing keys are replaced (requirement 132): a new key is published before it signs, and an old one until no token of it can be alive.
public struct KeyRotation: Sendable, Hashable {
    /// Seconds that one key signs.
    public var interval: Int64
    /// Seconds before its first signature that a key is published, so that whoever caches the key set has it in time.
    public var publishedAhead: Int64

    public init(interval: Int64 = 30 * 86400, publishedAhead: Int64 = 86400) {
        self.interval = interval
        self.publishedAhead = publishedAhead
    }

    /// Seconds after which a key that another one replaced is taken away: no token of ours lives longer.
    static let keptAfterwards = AuthorizationServerConfiguration.maximumAccessTokenLifetime + 300

    func check() throws(OAuthError) {
        guard interval >= 3600, publishedAhead >= 600, publishedAhead < interval else {
            throw OAuthError(
                .invalidConfiguration, "keyRotation: the interval is an hour or more, publishedAhead ten minutes or more and less than the interval")
        }
    }
}

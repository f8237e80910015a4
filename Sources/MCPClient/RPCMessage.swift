import JOSE

/// A JSON-RPC message as it arrives.
enum RPCMessage {
    /// Parses a message. Results of tools may be large, so the limit is that of an event.
    static func parse(_ bytes: [UInt8]) throws(JOSEError) -> JSONValue {
        try JSONValue(parsing: bytes, limits: JSONLimits(maximumBytes: EventParser.maximumBytes))
    }
}

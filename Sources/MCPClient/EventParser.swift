/// Reads server-sent events from bytes (WHATWG HTML §9.2). Lines end with LF, CRLF or CR.
package struct EventParser: Sendable {
    /// One event.
    package struct Event: Sendable, Hashable {
        package var data: [UInt8] = []
        package var identifier: String?
        package var retry: Int?
    }

    package struct TooLong: Error {}

    /// The longest event, in bytes.
    package static let maximumBytes = 16 << 20

    private var line: [UInt8] = []
    private var event = Event()
    private var hasData = false
    private var endedWithCR = false
    private var isFirstLine = true

    package init() {}

    /// The events that these bytes complete. An event that the stream does not finish is lost, as the specification
    /// demands. Throws `TooLong`.
    package mutating func events(in bytes: [UInt8]) throws(TooLong) -> [Event] {
        var events: [Event] = []
        for byte in bytes {
            if byte == 0x0A, endedWithCR {
                endedWithCR = false
                continue
            }
            endedWithCR = byte == 0x0D
            if byte == 0x0A || byte == 0x0D {
                if let event = endLine() { events.append(event) }
            } else {
                guard line.count + event.data.count < Self.maximumBytes else { throw TooLong() }
                line.append(byte)
            }
        }
        return events
    }

    private mutating func endLine() -> Event? {
        defer { line.removeAll(keepingCapacity: true) }
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard !line.isEmpty else {
            defer {
                event = Event()
                hasData = false
            }
            return hasData || event.retry != nil ? event : nil
        }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        var value = colon == line.endIndex ? [] : line[(colon + 1)...]
        if value.first == 0x20 { value = value.dropFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "data":
            if hasData { event.data.append(0x0A) }
            event.data += value
            hasData = true
        case "id": if !value.contains(0) { event.identifier = String(validating: value, as: UTF8.self) }
        case "retry": event.retry = Int(String(decoding: value, as: UTF8.self))
        default: break
        }
        return nil
    }
}

import Crypto
import JOSE
import Metrics
public import OAuth
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// An audit log in a file, with one line of JSON for each event. Each line is chained to the previous one by a hash, so
/// that changed and missing lines are detected (`AuditChain`, `mcp-auth audit verify`).
///
/// Several processes may write to one file. When it reaches `maximumBytes`, it becomes `NAME.1`, older files move up,
/// the oldest is deleted, and the chain continues in a new file.
///
/// Metrics: `mcp_auth_audit_lost_total` counts events that could not be written. Operators should watch it.
public final class AuditFile: AuditSink {
    private struct State {
        var descriptor: Int32
        /// The file as this process knows it: its length, and the chain at its end.
        var length: Int64 = -1
        var chain = AuditChain.start
        /// Whether the last line has no line break.
        var isBroken = false
        /// The bytes of a partial line that were truncated, until an event records it.
        var dropped = 0
        /// The rejections without a subject that may still be written, since when, and how many were not written.
        var budget = AuditFile.burst
        var budgetSince = NumericDate(seconds: 0)
        var suppressed = 0
        var waitedInVain: ContinuousClock.Instant?
    }

    /// A flood of rejections without a subject must not displace other events. A burst is written, then a number of
    /// events per second. The others are counted.
    private static let burst = 1000
    private static let perSecond: Int64 = 20

    private let path: String
    private let lock: Int32
    private let maximumBytes: Int64
    private let kept: Int
    private let state: Mutex<State>
    private let lost = Counter(label: "mcp_auth_audit_lost_total")

    /// Opens a file for appending that only its owner can read. Throws `invalid_configuration` when it cannot be
    /// opened, or other users can read it.
    ///
    /// - Parameters:
    ///   - maximumBytes: The size of one file, at least 4096.
    ///   - kept: The number of older files that are kept, at least 1.
    public init(path: String, maximumBytes: Int64 = 64 << 20, kept: Int = 8) throws(OAuthError) {
        self.path = path
        self.maximumBytes = max(maximumBytes, 4096)
        self.kept = max(kept, 1)
        var status = stat()
        if lstat(path, &status) == 0, UInt32(status.st_mode) & 0o077 != 0 {
            throw OAuthError(
                .invalidConfiguration,
                "the audit log \(path) can be read by other users of this machine (its mode is 0\(String(UInt32(status.st_mode) & 0o777, radix: 8))). "
                    + "Make it private: chmod 600 \(path)")
        }
        lock = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        let descriptor = Self.open_(path)
        guard lock >= 0, descriptor >= 0 else {
            let reason = errno
            let owner = reason == EACCES ? ". Run this as the user to whom the folder belongs" : ""
            throw OAuthError(.invalidConfiguration, "the audit log \(path) cannot be opened: \(String(cString: strerror(reason)))\(owner)")
        }
        state = Mutex(State(descriptor: descriptor))
    }

    deinit {
        state.withLock { _ = close($0.descriptor) }
        close(lock)
    }

    private static func open_(_ path: String) -> Int32 {
        let descriptor = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor >= 0 { fchmod(descriptor, 0o600) }
        return descriptor
    }

    /// Appends the event to the file. Waits up to 50 ms for the lock of another process. Never throws: an event that
    /// cannot be written is counted. Rejections without a subject beyond 1000 at once, and 20 a second, are not written
    /// but counted in an `audit.suppressed` event.
    public func record(_ event: AuditEvent) {
        let json = event.json.serialized
        let isWritten = state.withLock { state in
            guard Self.hasRoom(for: event, &state) else { return true }
            guard take(&state) else { return false }
            defer { flock(lock, LOCK_UN) }
            guard catchUp(&state) else { return false }
            if state.dropped > 0 {
                let loss = AuditEvent(
                    AuditChain.cutOff, .failed, at: event.time, detail: "\(state.dropped) bytes of a line that a process did not finish were dropped")
                guard append(loss.json.serialized, &state) else { return false }
                state.dropped = 0
            }
            if state.length >= maximumBytes { guard rotate(&state, event) else { return false } }
            if state.suppressed > 0 {
                let summary = AuditEvent(
                    "audit.suppressed", .denied, at: event.time,
                    detail: "\(state.suppressed) refusals of somebody unknown were not written")
                guard append(summary.json.serialized, &state) else { return false }
                state.suppressed = 0
            }
            return append(json, &state)
        }
        if !isWritten { lost.increment() }
    }

    /// Takes the lock of the file. A process that was stopped while it wrote must not stop all others: after a moment
    /// the event is lost and counted.
    private func take(_ state: inout State) -> Bool {
        // A process that was waited for in vain a moment ago is not waited for again.
        let attempts = state.waitedInVain.map { ContinuousClock.now < $0.advanced(by: .seconds(1)) } ?? false ? 1 : Self.attempts
        for attempt in 0..<attempts {
            if flock(lock, LOCK_EX | LOCK_NB) == 0 {
                state.waitedInVain = nil
                return true
            }
            if attempt < attempts - 1 { usleep(500) }
        }
        if attempts > 1 { state.waitedInVain = .now }
        return false
    }

    private static let attempts = 100

    private static func hasRoom(for event: AuditEvent, _ state: inout State) -> Bool {
        guard event.verdict == .denied, event.subject == nil else { return true }
        // After the clock was set back, the budget of the wrong clock no longer counts.
        if event.time < state.budgetSince { state.budgetSince = event.time }
        let elapsed = min(max(event.time.seconds(since: state.budgetSince), 0), 3600)
        if elapsed > 0 {
            state.budget = min(burst, state.budget + Int(elapsed * perSecond))
            state.budgetSince = event.time
        }
        guard state.budget > 0 else {
            state.suppressed += 1
            return false
        }
        state.budget -= 1
        return true
    }

    /// Reads the events that other processes have written since.
    private func catchUp(_ state: inout State) -> Bool {
        var (named, mine) = (stat(), stat())
        if stat(path, &named) != 0 || fstat(state.descriptor, &mine) != 0 || named.st_ino != mine.st_ino {
            let descriptor = Self.open_(path)
            guard descriptor >= 0 else { return false }
            close(state.descriptor)
            state.descriptor = descriptor
            state.length = -1
            guard fstat(descriptor, &mine) == 0 else { return false }
        }
        let length = Int64(mine.st_size)
        guard length != state.length else { return true }
        // The end of the file, where the last whole line is.
        let count = Int(min(length, 65536))
        var tail = [UInt8](repeating: 0, count: count)
        let read = tail.withUnsafeMutableBytes { pread(state.descriptor, $0.baseAddress, count, off_t(length) - off_t(count)) }
        guard read == count else { return false }
        // A writer holds the lock, so a line without its end is from a process that crashed while writing. A partial
        // line is not an event. It is truncated, and that is recorded, so that a crash leaves an intact log.
        let lastLine = tail[((tail.lastIndex(of: 0x0A) ?? -1) + 1)...]
        var whole = length
        state.isBroken = !lastLine.isEmpty
        if state.isBroken, AuditChain.link(of: lastLine) == nil, lastLine.count < count || Int64(count) == length,
            ftruncate(state.descriptor, off_t(length) - off_t(lastLine.count)) == 0
        {
            whole -= Int64(lastLine.count)
            state.dropped += lastLine.count
            state.isBroken = false
        }
        state.chain = tail.split(separator: 0x0A).reversed().lazy.compactMap { AuditChain.link(of: $0)?.chain }.first ?? AuditChain.start
        state.length = whole
        return true
    }

    private func append(_ json: [UInt8], _ state: inout State) -> Bool {
        let (line, chain) = AuditChain.line(json, after: state.chain)
        // A line that is complete except for its line break receives it.
        let bytes = (state.isBroken ? [0x0A] : []) + line
        let isWritten = bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset < buffer.count {
                let count = write(state.descriptor, buffer.baseAddress! + offset, buffer.count - offset)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                offset += count
            }
            return true
        }
        if isWritten {
            state.length += Int64(bytes.count)
            state.chain = chain
            state.isBroken = false
        } else {
            // A partial line on a full disk is not a line. It is truncated, so that the log is intact when there is
            // space again.
            if ftruncate(state.descriptor, off_t(state.length)) != 0 { state.length = -1 }
        }
        return isWritten
    }

    private func rotate(_ state: inout State, _ event: AuditEvent) -> Bool {
        for number in stride(from: kept - 1, through: 1, by: -1) { rename("\(path).\(number)", "\(path).\(number + 1)") }
        guard rename(path, path + ".1") == 0 else { return false }
        let descriptor = Self.open_(path)
        guard descriptor >= 0 else { return false }
        close(state.descriptor)
        let chain = state.chain
        (state.descriptor, state.length, state.isBroken) = (descriptor, 0, false)
        let continued = AuditEvent(AuditChain.continued, .allowed, at: event.time, detail: chain)
        return append(continued.json.serialized, &state)
    }
}

/// The chain of an audit log: each line ends with a hash of itself and of the line before it.
public enum AuditChain {
    static let start = ""
    static let continued = "audit.continued"
    static let cutOff = "audit.cut_off"
    private static let marker = Array(#","chain":""#.utf8)

    /// A line with its chain, and the chain after it.
    static func line(_ json: [UInt8], after chain: String) -> ([UInt8], String) {
        let next = hash(json[...], after: chain)
        return (Array(json.dropLast()) + marker + Array(next.utf8) + Array("\"}\n".utf8), next)
    }

    /// The event of a line without its chain, and the chain. Nil for any other text.
    static func link(of line: ArraySlice<UInt8>) -> (json: [UInt8], chain: String)? {
        let length = marker.count + 43 + 2
        guard line.count > length else { return nil }
        let tail = line.suffix(length)
        guard tail.starts(with: marker), tail.suffix(2).elementsEqual("\"}".utf8) else { return nil }
        let chain = String(decoding: tail.dropFirst(marker.count).prefix(43), as: UTF8.self)
        return (Array(line.dropLast(length)) + [UInt8(ascii: "}")], chain)
    }

    private static func hash(_ json: ArraySlice<UInt8>, after chain: String) -> String {
        var hasher = SHA256()
        hasher.update(data: Array(chain.utf8))
        hasher.update(data: [0x0A])
        hasher.update(data: json)
        return Base64URL.encode(Array(hasher.finalize()))
    }

    /// A problem in a log.
    public struct Finding: Sendable, Hashable, CustomStringConvertible {
        /// The name of the file, as it was passed to `verify`.
        public let file: String
        /// The line number, from 1. 0 for a missing earlier head.
        public let line: Int
        /// The problem in words. The wording may change.
        public let description: String

        /// A finding, as `verify` returns it.
        public init(file: String, line: Int, description: String) {
            self.file = file
            self.line = line
            self.description = description
        }
    }

    /// The result of a check.
    public struct Verification: Sendable, Hashable {
        /// The number of lines that are not empty.
        public var lines = 0
        /// The problems, in the order of the lines. Empty when the log is intact.
        public var findings: [Finding] = []
        /// The chain at the end of the log. Store it elsewhere and pass it to the next check, which then also detects
        /// lines that were removed at the end.
        public var head = AuditChain.start
        /// Whether older files are gone, so that the log begins with a file that continues another one.
        public var beginsLater = false
    }

    /// Checks the files of one log, oldest first. After a wrong line the check continues with the chain of that line,
    /// so that one change gives one finding.
    ///
    /// - Parameter earlier: The head of an earlier check. It is a finding if no line has this head: lines were removed,
    ///   or the chain was rewritten. If older files are gone (`beginsLater`) and only the first line names the head,
    ///   earlier lines are not checked.
    public static func verify(_ files: [(name: String, bytes: [UInt8])], earlier: String? = nil) -> Verification {
        var result = Verification()
        var isEarlierThere = earlier == nil || earlier == start
        for (index, file) in files.enumerated() {
            var number = 0
            for line in file.bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
                number += 1
                if line.isEmpty { continue }
                result.lines += 1
                func find(_ text: String) { result.findings.append(Finding(file: file.name, line: number, description: text)) }
                guard let (json, chain) = link(of: line), let event = try? JSONValue(parsing: json) else {
                    find("is no line of an audit log, or was cut off while it was written")
                    continue
                }
                if number == 1, index == 0, event["action"]?.string == continued {
                    result.beginsLater = true
                    result.head = event["detail"]?.string ?? ""
                    if result.head == earlier { isEarlierThere = true }
                }
                if hash(json[...], after: result.head) != chain { find("was changed, or a line before it is missing or was added") }
                result.head = chain
                if chain == earlier { isEarlierThere = true }
            }
        }
        if let earlier, !isEarlierThere {
            let description =
                "no line has the earlier head \(earlier): lines were taken away, its file is older than those that are kept, or it is not from this log"
            result.findings.append(Finding(file: files.last?.name ?? "", line: 0, description: description))
        }
        return result
    }
}

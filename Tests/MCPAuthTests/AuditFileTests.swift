import Foundation
import JOSE
import MCPAuth
import OAuth
import Testing

@Suite("The audit log in a file")
struct AuditFileTests {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mcp-auth-audit-\(UUID().uuidString)")
    var path: String { folder.appendingPathComponent("audit.jsonl").path }

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    func event(_ number: Int) -> AuditEvent {
        AuditEvent(
            "sign_in", .allowed, at: NumericDate(seconds: 1_800_000_000), detail: "event \(number)\n\",\"chain\":\"x", subject: "user-\(number)")
    }

    func lines() throws -> [String] { try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init) }

    func verify(_ lines: [String]) -> AuditChain.Verification {
        AuditChain.verify([(name: "log", bytes: Array((lines.joined(separator: "\n") + "\n").utf8))])
    }

    @Test("each line is one event and carries the chain; the file is its owner's only")
    func whole() throws {
        let file = try AuditFile(path: path)
        for number in 0..<20 { file.record(event(number)) }
        let found = try lines()
        #expect(found.count == 20)
        let result = verify(found)
        #expect(result.findings.isEmpty && result.lines == 20 && !result.beginsLater)
        #expect(try JSONValue(parsing: found[19])["chain"]?.string == result.head)
        let mode = try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)
        #expect(mode.intValue & 0o077 == 0)
    }

    @Test("a line that is changed, missing, added or moved shows, wherever it is")
    func tampered() throws {
        let file = try AuditFile(path: path)
        for number in 0..<10 { file.record(event(number)) }
        let whole = try lines()
        for index in 0..<10 {
            var changed = whole
            changed[index] = changed[index].replacing("user-\(index)", with: "user-x")
            #expect(verify(changed).findings.map(\.line) == [index + 1], "changed \(index)")
            var shorter = whole
            shorter.remove(at: index)
            #expect(index == 9 ? verify(shorter).findings.isEmpty : verify(shorter).findings.map(\.line) == [index + 1], "missing \(index)")
            var longer = whole
            longer.insert(whole[0], at: index)
            #expect(!verify(longer).findings.isEmpty, "added \(index)")
        }
        #expect(!verify(whole.reversed()).findings.isEmpty)
        #expect(verify(Array(whole.dropLast())).head != verify(whole).head, "what is cut off at the end shows by the head")
        var torn = whole
        torn[5] = String(torn[5].prefix(30))
        #expect(verify(torn).findings.map(\.line) == [6, 7])
        #expect(!verify(["{}", "x"]).findings.isEmpty)
    }

    @Test(
        "M-01: a crash in the middle of a line leaves a whole log, which says what it lost; a line that lacks only its end is kept", arguments: 0..<3)
    func crash(_ before: Int) throws {
        let first = try AuditFile(path: path)
        for number in 0..<before { first.record(event(number)) }
        first.record(event(before))
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        let begin = whole.dropLast().lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        for cut in [begin + 1, begin + 30, whole.count - 2, whole.count - 1] {
            try whole[..<cut].write(to: URL(fileURLWithPath: path))
            try AuditFile(path: path).record(event(8))
            try AuditFile(path: path).record(event(9))
            let found = try lines()
            let isWhole = cut == whole.count - 1
            #expect(verify(found).findings.isEmpty, "\(cut)")
            #expect(found.contains { $0.contains("audit.cut_off") && $0.contains("\(cut - begin) bytes") } == !isWhole, "\(cut)")
            #expect(found.count == before + 3, "the one that was cut off or what is said of it, and two")
            #expect(found.contains { $0.contains("user-\(before)\"") } == isWhole)
        }
    }

    @Test("the chain goes on after a restart, between two writers, and after half a line")
    func writers() throws {
        let one = try AuditFile(path: path)
        one.record(event(1))
        let two = try AuditFile(path: path)
        for number in 2..<30 { (number % 3 == 0 ? one : two).record(event(number)) }
        #expect(verify(try lines()).findings.isEmpty)
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("{\"time\":\"half".utf8))
        try handle.close()
        two.record(event(30))
        try AuditFile(path: path).record(event(31))
        let result = verify(try lines())
        #expect(result.findings.isEmpty && result.lines == 32)
        #expect(try lines()[29].contains("audit.cut_off"))
    }

    @Test("O-07: files are of bounded size and number, and the chain runs through all of them")
    func rotation() throws {
        let file = try AuditFile(path: path, maximumBytes: 4096, kept: 3)
        let other = try AuditFile(path: path, maximumBytes: 4096, kept: 3)
        for number in 0..<200 { (number % 2 == 0 ? file : other).record(event(number)) }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { !$0.hasSuffix(".lock") }.sorted()
        #expect(names == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"])
        let files = try names.reversed().map { name in
            (name: name, bytes: Array(try Data(contentsOf: folder.appendingPathComponent(name))))
        }
        #expect(files.allSatisfy { $0.bytes.count < 4096 + 1024 })
        let result = AuditChain.verify(files)
        #expect(result.findings.isEmpty && result.beginsLater && result.lines > 20)
        let gap = AuditChain.verify([files[0], files[2], files[3]])
        #expect(!gap.findings.isEmpty, "a file that is taken away from the middle")
        let earlier = AuditChain.verify([files[0], files[1]]).head
        #expect(
            AuditChain.verify(files, earlier: earlier).findings.isEmpty && AuditChain.verify(Array(files[2...]), earlier: earlier).findings.isEmpty)
        #expect(!AuditChain.verify([files[0]], earlier: earlier).findings.isEmpty, "lines that are cut off at the end")
        #expect(!AuditChain.verify(files, earlier: String(earlier.dropLast())).findings.isEmpty, "part of a head is none")
    }

    @Test("O-07: a flood of strangers does not push out what happened; how many were left out is written down")
    func flood() throws {
        let file = try AuditFile(path: path)
        func refusal(_ second: Int64) -> AuditEvent {
            AuditEvent("access", .denied, at: NumericDate(seconds: 1_800_000_000 + second), reason: "no_credentials")
        }
        for _ in 0..<5000 { file.record(refusal(0)) }
        file.record(event(1))
        let found = try lines()
        #expect((1000..<1100).contains(found.count) && found.last?.contains("user-1") == true)
        #expect(found.contains { $0.contains("audit.suppressed") && $0.contains("refusals") })
        for _ in 0..<100 { file.record(refusal(10)) }
        #expect(try lines().count >= found.count + 100, "and later ones are written again")
        #expect(verify(try lines()).findings.isEmpty)
    }

    @Test(
        "O-07: whatever strangers are refused for, a flood of it is left out; what is said of somebody known is not",
        arguments: ["form", "token.issued", "client.authentication"])
    func otherFloods(_ action: String) throws {
        let file = try AuditFile(path: path)
        for _ in 0..<3000 { file.record(AuditEvent(action, .denied, at: NumericDate(seconds: 1_800_000_000), reason: "x")) }
        #expect(try lines().count < 1100)
        for _ in 0..<100 { file.record(AuditEvent(action, .denied, at: NumericDate(seconds: 1_800_000_000), reason: "x", subject: "user-1")) }
        #expect(try lines().count { $0.contains("user-1") } == 100)
        // The clock is set back by a year: what strangers do then is written again.
        for _ in 0..<100 { file.record(AuditEvent(action, .denied, at: NumericDate(seconds: 1_768_000_000), reason: "back")) }
        for _ in 0..<100 { file.record(AuditEvent(action, .denied, at: NumericDate(seconds: 1_768_000_060), reason: "back")) }
        #expect(try lines().count { $0.contains("back") } >= 100)
    }

    @Test("M-08: a process that was stopped while it held the file holds up nobody for long; what could not be written is lost, and then it goes on")
    func frozenWriter() throws {
        let file = try AuditFile(path: path)
        file.record(event(1))
        let other = open(path + ".lock", O_RDWR)
        #expect(flock(other, LOCK_EX) == 0)
        for second in 2..<6 { file.record(event(second)) }
        #expect(try lines().count == 1)
        flock(other, LOCK_UN)
        close(other)
        file.record(event(7))
        #expect(try lines().count == 2 && verify(try lines()).findings.isEmpty)
    }

    @Test("L-02: whatever a value holds, an event is one line")
    func injection() throws {
        let file = try AuditFile(path: path)
        file.record(AuditEvent("a", .denied, at: NumericDate(seconds: 0), detail: "x\r\n{\"action\":\"forged\"}\u{2028}\u{85}\u{0}\u{1B}[2J"))
        #expect(try lines().count == 1)
        #expect(verify(try lines()).findings.isEmpty)
    }

    @Test("a file that cannot be made is an error that says so")
    func unwritable() throws {
        #expect(throws: OAuthError.self) { try AuditFile(path: folder.appendingPathComponent("none/audit.jsonl").path) }
    }
}

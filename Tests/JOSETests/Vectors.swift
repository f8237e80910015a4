import Foundation
import JOSE
import Testing

/// The conformance vectors of other projects, which are not part of this repository.
enum Vectors {
    static let folder: URL = {
        if let path = ProcessInfo.processInfo.environment["MCP_AUTH_VECTORS"] { return URL(fileURLWithPath: path) }
        return URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../shared/vectors").standardizedFileURL
    }()

    static let exist = FileManager.default.fileExists(atPath: folder.path)

    static func read(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: folder.appendingPathComponent(path))) }

    static func files(in path: String) -> [String] {
        guard exist else { return [] }
        return (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent(path).path).sorted()) ?? []
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips, and says so, where the vectors are missing.
    static var needsVectors: Self { .enabled(if: Vectors.exist, "no vectors in \(Vectors.folder.path): set MCP_AUTH_VECTORS to their folder") }
}

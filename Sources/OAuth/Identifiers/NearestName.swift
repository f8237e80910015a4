/// Finds the name that a person probably meant, for error messages.
package enum NearestName {
    /// The candidate with the fewest edits (insertions, deletions, substitutions, swapped neighbours), ignoring ASCII
    /// case. Nil when more than a third of the characters differ, or more than `edits`.
    package static func of(_ name: String, among candidates: [String], edits: Int? = nil) -> String? {
        let wanted = Array(name.utf8.prefix(64).map(URLBytes.lowercased))
        let limit = edits ?? max(1, wanted.count / 3)
        let ranked = candidates.map { ($0, distance(wanted, Array($0.utf8.prefix(64).map(URLBytes.lowercased)))) }
        guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= limit else { return nil }
        return best.0
    }

    /// `" (did you mean NAME?)"`, or nothing.
    package static func hint(_ name: String, among candidates: [String]) -> String {
        of(name, among: candidates).map { " (did you mean \($0)?)" } ?? ""
    }

    /// The optimal string alignment distance.
    private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
        var (beforeLast, last) = ([Int](), Array(0...other.count))
        for (row, byte) in one.enumerated() {
            var next = [row + 1]
            for (column, candidate) in other.enumerated() {
                var least = min(last[column + 1] + 1, next[column] + 1, last[column] + (byte == candidate ? 0 : 1))
                if row > 0, column > 0, byte == other[column - 1], one[row - 1] == candidate { least = min(least, beforeLast[column - 1] + 1) }
                next.append(least)
            }
            (beforeLast, last) = (last, next)
        }
        return last[other.count]
    }
}

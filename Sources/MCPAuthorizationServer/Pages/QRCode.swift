/// A QR code (ISO/IEC 18004) of a text: byte mode, error correction level M, versions 1 to 12, which is up to 287
/// bytes.
struct QRCode: Sendable {
    /// The number of modules on a side.
    let size: Int
    /// The modules, row by row. True is dark.
    private(set) var modules: [[Bool]]
    /// The modules of the patterns, which contain no data.
    private var isFixed: [[Bool]]

    /// Nil for a text that is too long.
    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard let version = Self.versions.first(where: { bytes.count <= $0.dataCodewords - ($0.number < 10 ? 2 : 3) }) else { return nil }
        size = 17 + 4 * version.number
        modules = Array(repeating: Array(repeating: false, count: size), count: size)
        isFixed = modules
        drawPatterns(version)
        draw(Self.interleaved(Self.dataCodewords(bytes, version), version))
        let masked = (0..<8).map { self.masked(by: $0) }
        // The mask with the lowest penalty is the easiest to scan.
        let scores = masked.map(Self.penalty)
        modules = masked[scores.indices.min { scores[$0] < scores[$1] } ?? 0]
    }

    // MARK: Tables

    private struct Version {
        let number: Int
        let correctionPerBlock: Int
        /// The number of blocks, and the number of data codewords in each.
        let blocks: [(count: Int, data: Int)]
        let alignment: [Int]

        var dataCodewords: Int { blocks.reduce(0) { $0 + $1.count * $1.data } }
    }

    /// Level M (table 9 and annex E of the standard).
    private static let versions: [Version] = [
        Version(number: 1, correctionPerBlock: 10, blocks: [(1, 16)], alignment: []),
        Version(number: 2, correctionPerBlock: 16, blocks: [(1, 28)], alignment: [6, 18]),
        Version(number: 3, correctionPerBlock: 26, blocks: [(1, 44)], alignment: [6, 22]),
        Version(number: 4, correctionPerBlock: 18, blocks: [(2, 32)], alignment: [6, 26]),
        Version(number: 5, correctionPerBlock: 24, blocks: [(2, 43)], alignment: [6, 30]),
        Version(number: 6, correctionPerBlock: 16, blocks: [(4, 27)], alignment: [6, 34]),
        Version(number: 7, correctionPerBlock: 18, blocks: [(4, 31)], alignment: [6, 22, 38]),
        Version(number: 8, correctionPerBlock: 22, blocks: [(2, 38), (2, 39)], alignment: [6, 24, 42]),
        Version(number: 9, correctionPerBlock: 22, blocks: [(3, 36), (2, 37)], alignment: [6, 26, 46]),
        Version(number: 10, correctionPerBlock: 26, blocks: [(4, 43), (1, 44)], alignment: [6, 28, 50]),
        Version(number: 11, correctionPerBlock: 30, blocks: [(1, 50), (4, 51)], alignment: [6, 30, 54]),
        Version(number: 12, correctionPerBlock: 22, blocks: [(6, 36), (2, 37)], alignment: [6, 32, 58]),
    ]

    // MARK: Codewords

    /// Mode, length, bytes, terminator and padding.
    private static func dataCodewords(_ bytes: [UInt8], _ version: Version) -> [UInt8] {
        var bits: [Bool] = []
        func append(_ value: Int, _ count: Int) { for shift in (0..<count).reversed() { bits.append(value >> shift & 1 == 1) } }
        append(0b0100, 4)
        append(bytes.count, version.number < 10 ? 8 : 16)
        for byte in bytes { append(Int(byte), 8) }
        append(0, min(4, version.dataCodewords * 8 - bits.count))
        append(0, (8 - bits.count % 8) % 8)
        var codewords = stride(from: 0, to: bits.count, by: 8).map { start in
            bits[start..<start + 8].reduce(UInt8(0)) { $0 << 1 | ($1 ? 1 : 0) }
        }
        var padding: UInt8 = 0xEC
        while codewords.count < version.dataCodewords {
            codewords.append(padding)
            padding ^= 0xEC ^ 0x11
        }
        return codewords
    }

    /// The blocks with their error correction, codeword by codeword.
    private static func interleaved(_ data: [UInt8], _ version: Version) -> [UInt8] {
        var (blocks, corrections): ([[UInt8]], [[UInt8]]) = ([], [])
        var rest = data[...]
        for (count, length) in version.blocks {
            for _ in 0..<count {
                blocks.append(Array(rest.prefix(length)))
                rest = rest.dropFirst(length)
            }
        }
        let generator = ReedSolomon.generator(version.correctionPerBlock)
        for block in blocks { corrections.append(ReedSolomon.remainder(block, generator)) }
        func mixed(_ lists: [[UInt8]]) -> [UInt8] {
            (0..<(lists.map(\.count).max() ?? 0)).flatMap { index in lists.compactMap { $0.indices.contains(index) ? $0[index] : nil } }
        }
        return mixed(blocks) + mixed(corrections)
    }

    /// Arithmetic in GF(256) with the polynomial 0x11D.
    private enum ReedSolomon {
        static func multiply(_ one: UInt8, _ other: UInt8) -> UInt8 {
            var product = 0
            for shift in (0..<8).reversed() {
                product = product << 1 ^ (product >> 7 & 1) * 0x11D
                if other >> shift & 1 == 1 { product ^= Int(one) }
            }
            return UInt8(truncatingIfNeeded: product)
        }

        static func generator(_ degree: Int) -> [UInt8] {
            var result = [UInt8](repeating: 0, count: degree - 1) + [1]
            var root: UInt8 = 1
            for _ in 0..<degree {
                for index in 0..<degree {
                    result[index] = multiply(result[index], root)
                    if index + 1 < degree { result[index] ^= result[index + 1] }
                }
                root = multiply(root, 2)
            }
            return result
        }

        static func remainder(_ data: [UInt8], _ generator: [UInt8]) -> [UInt8] {
            var result = [UInt8](repeating: 0, count: generator.count)
            for byte in data {
                let factor = byte ^ result.removeFirst()
                result.append(0)
                for index in generator.indices { result[index] ^= multiply(generator[index], factor) }
            }
            return result
        }
    }

    // MARK: Modules

    private mutating func set(_ row: Int, _ column: Int, _ isDark: Bool) {
        modules[row][column] = isDark
        isFixed[row][column] = true
    }

    private mutating func drawPatterns(_ version: Version) {
        for index in 0..<size {
            set(6, index, index % 2 == 0)
            set(index, 6, index % 2 == 0)
        }
        for (row, column) in [(3, 3), (3, size - 4), (size - 4, 3)] { drawFinder(row, column) }
        let last = version.alignment.count - 1
        for (i, row) in version.alignment.enumerated() {
            for (j, column) in version.alignment.enumerated() where !((i == 0 && j == 0) || (i == 0 && j == last) || (i == last && j == 0)) {
                for dy in -2...2 { for dx in -2...2 { set(row + dy, column + dx, max(abs(dy), abs(dx)) != 1) } }
            }
        }
        drawFormat(0)
        if version.number >= 7 { drawVersion(version.number) }
    }

    private mutating func drawFinder(_ row: Int, _ column: Int) {
        for dy in -4...4 {
            for dx in -4...4 where (0..<size).contains(row + dy) && (0..<size).contains(column + dx) {
                let distance = max(abs(dy), abs(dx))
                set(row + dy, column + dx, distance != 2 && distance != 4)
            }
        }
    }

    /// Fifteen bits: the level M (00), the mask, and their error correction.
    private mutating func drawFormat(_ mask: Int) {
        var rest = mask
        for _ in 0..<10 { rest = rest << 1 ^ (rest >> 9) * 0x537 }
        let bits = (mask << 10 | rest) ^ 0x5412
        func bit(_ index: Int) -> Bool { bits >> index & 1 == 1 }
        for index in 0...5 { set(index, 8, bit(index)) }
        set(7, 8, bit(6))
        set(8, 8, bit(7))
        set(8, 7, bit(8))
        for index in 9..<15 { set(8, 14 - index, bit(index)) }
        for index in 0..<8 { set(8, size - 1 - index, bit(index)) }
        for index in 8..<15 { set(size - 15 + index, 8, bit(index)) }
        set(size - 8, 8, true)
    }

    private mutating func drawVersion(_ number: Int) {
        var rest = number
        for _ in 0..<12 { rest = rest << 1 ^ (rest >> 11) * 0x1F25 }
        let bits = number << 12 | rest
        for index in 0..<18 {
            let isDark = bits >> index & 1 == 1
            set(index / 3, size - 11 + index % 3, isDark)
            set(size - 11 + index % 3, index / 3, isDark)
        }
    }

    /// In columns of two, from the right, up and down.
    private mutating func draw(_ codewords: [UInt8]) {
        var index = 0
        var right = size - 1
        while right >= 1 {
            if right == 6 { right = 5 }
            for step in 0..<size {
                let isUpward = (right + 1) & 2 == 0
                let row = isUpward ? size - 1 - step : step
                for column in [right, right - 1] where !isFixed[row][column] && index < codewords.count * 8 {
                    modules[row][column] = codewords[index >> 3] >> (7 - index & 7) & 1 == 1
                    index += 1
                }
            }
            right -= 2
        }
    }

    private func masked(by mask: Int) -> [[Bool]] {
        var copy = self
        for row in 0..<size {
            for column in 0..<size where !isFixed[row][column] {
                let flips =
                    switch mask {
                    case 0: (row + column) % 2 == 0
                    case 1: row % 2 == 0
                    case 2: column % 3 == 0
                    case 3: (row + column) % 3 == 0
                    case 4: (row / 2 + column / 3) % 2 == 0
                    case 5: row * column % 2 + row * column % 3 == 0
                    case 6: (row * column % 2 + row * column % 3) % 2 == 0
                    default: ((row + column) % 2 + row * column % 3) % 2 == 0
                    }
                if flips { copy.modules[row][column].toggle() }
            }
        }
        copy.drawFormat(mask)
        return copy.modules
    }

    /// The four rules of the standard: long runs, blocks of one colour, patterns that look like a finder, and an uneven
    /// share of dark modules.
    private static func penalty(_ modules: [[Bool]]) -> Int {
        let size = modules.count
        var penalty = 0
        let finder = [true, false, true, true, true, false, true]
        for isTransposed in [false, true] {
            for line in 0..<size {
                let bits = (0..<size).map { isTransposed ? modules[$0][line] : modules[line][$0] }
                var run = 0
                for index in 0..<size {
                    run = index > 0 && bits[index] == bits[index - 1] ? run + 1 : 1
                    if run == 5 { penalty += 3 } else if run > 5 { penalty += 1 }
                }
                for start in 0...(size - 7) where Array(bits[start..<start + 7]) == finder {
                    let before = bits[max(0, start - 4)..<start].allSatisfy { !$0 }
                    let after = bits[(start + 7)..<min(size, start + 11)].allSatisfy { !$0 }
                    if before || after { penalty += 40 }
                }
            }
        }
        for row in 0..<size - 1 {
            for column in 0..<size - 1 {
                let colour = modules[row][column]
                if modules[row][column + 1] == colour, modules[row + 1][column] == colour, modules[row + 1][column + 1] == colour { penalty += 3 }
            }
        }
        let dark = modules.reduce(0) { $0 + $1.count { $0 } }
        return penalty + abs(dark * 20 - size * size * 10) / (size * size) * 10
    }

    // MARK: SVG

    /// An inline image, black on white with the quiet zone that scanners need, whatever the colours of the page.
    func svg(label: String) -> HTML {
        var path = ""
        for (row, line) in modules.enumerated() {
            var column = 0
            while column < size {
                guard line[column] else {
                    column += 1
                    continue
                }
                var end = column
                while end < size, line[end] { end += 1 }
                path += "M\(column + 4) \(row + 4)h\(end - column)v1h-\(end - column)z"
                column = end
            }
        }
        let side = "\(size + 8)"
        return .tag("svg", ["class": "qr", "viewBox": "0 0 \(side) \(side)", "role": "img", "aria-label": label]) {
            HTML.tag("rect", ["width": side, "height": side, "fill": "#ffffff"])
            HTML.tag("path", ["d": path, "fill": "#000000"])
        }
    }
}

/// Searches and compares bytes, eight at a time.
enum ByteScan {
    static let ones: UInt64 = 0x0101_0101_0101_0101
    static let highs: UInt64 = 0x8080_8080_8080_8080

    /// The first position of a byte at or after `start`. Nil when the byte does not occur.
    static func firstIndex(of byte: UInt8, in bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        var position = start
        let pattern = ones &* UInt64(byte)
        while position + 8 <= bytes.count {
            let word = UInt64(littleEndian: UnsafeRawPointer(bytes.baseAddress! + position).loadUnaligned(as: UInt64.self)) ^ pattern
            // The lowest high bit that is set marks the first such byte.
            let found = (word &- ones) & ~word & highs
            if found != 0 { return position + found.trailingZeroBitCount / 8 }
            position += 8
        }
        while position < bytes.count {
            if bytes[position] == byte { return position }
            position += 1
        }
        return nil
    }

    /// Whether all bytes are printable ASCII other than the quotation mark and the backslash. JSON writes these without
    /// escapes.
    static func isPlainText(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        /// Sets a high bit where a byte of ASCII equals this one.
        func holds(_ byte: UInt8, _ word: UInt64) -> UInt64 {
            let difference = word ^ (ones &* UInt64(byte))
            return (difference &- ones) & ~difference
        }
        var position = 0
        while position + 8 <= bytes.count {
            let word = UnsafeRawPointer(bytes.baseAddress! + position).loadUnaligned(as: UInt64.self)
            let isControl = (word &- ones &* 0x20) & ~word
            guard (word | isControl | holds(0x22, word) | holds(0x5C, word) | holds(0x7F, word)) & highs == 0 else { return false }
            position += 8
        }
        while position < bytes.count {
            let byte = bytes[position]
            guard byte >= 0x20, byte < 0x7F, byte != 0x22, byte != 0x5C else { return false }
            position += 1
        }
        return true
    }

    /// Whether two texts have the same bytes. Swift's own equality also accepts texts that differ in normalization.
    static func areSame(_ one: String, _ other: String) -> Bool {
        guard one.utf8.count == other.utf8.count else { return false }
        let isEqual = one.utf8.withContiguousStorageIfAvailable { one in
            other.utf8.withContiguousStorageIfAvailable { other in
                guard let first = one.baseAddress, let second = other.baseAddress else { return true }
                return areEqual(first, second, count: one.count)
            }
        }
        return (isEqual ?? nil) ?? one.utf8.elementsEqual(other.utf8)
    }

    /// Whether the `count` bytes at two addresses are equal.
    static func areEqual(_ one: UnsafePointer<UInt8>, _ other: UnsafePointer<UInt8>, count: Int) -> Bool {
        var position = 0
        while position + 8 <= count {
            guard
                UnsafeRawPointer(one + position).loadUnaligned(as: UInt64.self)
                    == UnsafeRawPointer(other + position).loadUnaligned(as: UInt64.self)
            else { return false }
            position += 8
        }
        while position < count {
            guard one[position] == other[position] else { return false }
            position += 1
        }
        return true
    }
}

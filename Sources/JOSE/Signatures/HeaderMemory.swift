import Synchronization

/// The header of the last token that was found to be good, by its text. The tokens of one issuer have the same header until its key changes, so that it
/// is read once and then only compared.
package final class HeaderMemory: Sendable {
    private let last = Mutex<(text: [UInt8], header: JWSHeader)?>(nil)

    package init() {}

    /// The header that this text stands for, if it is the one of the last good token.
    func header(for text: ArraySlice<UInt8>) -> JWSHeader? {
        last.withLock { last in
            guard let last, last.text.count == text.count else { return nil }
            let isSame = last.text.withUnsafeBufferPointer { one in
                text.withUnsafeBufferPointer { other in
                    guard let first = one.baseAddress, let second = other.baseAddress else { return false }
                    return ByteScan.areEqual(first, second, count: one.count)
                }
            }
            return isSame ? last.header : nil
        }
    }

    /// Only what was verified is worth remembering: nobody else can push anything out.
    package func remember(_ jws: CompactJWS) {
        guard !jws.isHeaderRemembered else { return }
        let text = Array(jws.headerText)
        last.withLock { $0 = (text, jws.header) }
    }
}

import Synchronization

/// The header of the last token that was verified, by its text. Tokens of one issuer have the same header until its key
/// changes. The header is parsed once and then only compared.
package final class HeaderMemory: Sendable {
    private let last = Mutex<(text: [UInt8], header: JWSHeader)?>(nil)

    package init() {}

    /// The header with this text, if it is the one of the last verified token.
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

    /// Remembers the header of a verified token. Tokens that fail verification must not be passed here, so that they
    /// cannot replace it.
    package func remember(_ jws: CompactJWS) {
        guard !jws.isHeaderRemembered else { return }
        let text = Array(jws.headerText)
        last.withLock { $0 = (text, jws.header) }
    }
}

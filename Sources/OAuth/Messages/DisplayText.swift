/// Texts of strangers, made safe for pages that users trust (B-03).
package enum DisplayText {
    /// Without control, format and private-use characters (so no bidirectional overrides and no zero-width ones), with
    /// at most two combining marks in a row, white space folded, and cut off at `limit` scalars.
    package static func clean(_ text: String, limit: Int = 60) -> String {
        var output = String.UnicodeScalarView()
        var marks = 0
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < limit else {
                output.append("…")
                break
            }
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator:
                guard let last = output.last, last != " " else { continue }
                output.append(" ")
            case .format, .privateUse, .surrogate, .unassigned: continue
            // Letters that show nothing, such as the Hangul fillers, and the blank Braille pattern.
            case _ where scalar.properties.isDefaultIgnorableCodePoint || scalar == "\u{2800}": continue
            case .nonspacingMark, .enclosingMark, .spacingMark:
                marks += 1
                guard marks <= 2, !output.isEmpty else { continue }
                output.append(scalar)
            default:
                marks = 0
                output.append(scalar)
            }
            count += 1
        }
        return String(output)
    }
}

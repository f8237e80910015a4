import Foundation
import OAuth

enum FileProblem {
    /// Why a file that a command line names cannot be read.
    static func error(_ path: String) -> OAuthError {
        OAuthError(
            .invalidRequest, FileManager.default.fileExists(atPath: path) ? "\(path) cannot be read by this user" : "the file \(path) does not exist")
    }
}

import CFuzzer
import Foundation

/// Hands one input after another to the target that `FUZZ_TARGET` names.
@main
struct Main {
    nonisolated(unsafe) static var target: @Sendable ([UInt8]) -> Void = { _ in }

    static func main() {
        let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
        guard let found = Targets.all.first(where: { $0.name == name }) else {
            print("set FUZZ_TARGET to one of: \(Targets.all.map(\.name).joined(separator: " "))")
            exit(64)
        }
        target = found.body
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(
            LLVMFuzzerRunDriver(&count, &arguments) { start, count in start.map { fuzzOneInput($0, count) } ?? 0 })
    }
}

/// The name by which libFuzzer's archive looks for it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    Main.target(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

/// What must hold whatever the input is. A violation ends the process, which is how libFuzzer learns of it.
func require(_ condition: Bool, _ what: String) {
    if !condition {
        print("violated: \(what)")
        abort()
    }
}

/// Runs asynchronous code to its end on this thread's behalf.
func wait(_ body: @escaping @Sendable () async -> Void) {
    let semaphore = DispatchSemaphore(value: 0)
    Task {
        await body()
        semaphore.signal()
    }
    semaphore.wait()
}

import Foundation

/// One measurement a run: `verify`, `refresh`, `sign-in`, `client URL`, `serve PORT`. Each prints JSON; `Benchmarks/run` puts them together.
@main
struct Main {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        switch arguments.first {
        case "verify": try VerifyBenchmark.run()
        case "refresh": try await RefreshBenchmark.run()
        case "sign-in": try await SignInBenchmark.run()
        case "client": try await ClientBenchmark.run(arguments.dropFirst().first ?? "")
        case "serve": try await Server.run(port: Int(arguments.dropFirst().first ?? "") ?? 0)
        default:
            print("usage: benchmarks verify | refresh | sign-in | client URL | serve PORT")
            exit(64)
        }
    }
}

/// Time that this process computed, in nanoseconds: what other processes do meanwhile does not count.
func processNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// Keeps the optimizer from dropping what is measured.
@inline(never) func keep<Value>(_ value: Value) {}

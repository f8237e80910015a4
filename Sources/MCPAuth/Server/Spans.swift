import Tracing

/// Work that a trace shows, where a tracer was set up; without one it costs nothing.
package enum Spans {
    /// Whether somebody set up a tracer (`InstrumentationSystem.bootstrap`).
    package static var areOn: Bool { !(InstrumentationSystem.tracer is NoOpTracer) }

    /// Names come from code, never from a request.
    package static func around<Result>(_ name: @autoclosure () -> String, _ body: () async throws -> Result) async rethrows -> Result {
        guard areOn else { return try await body() }
        return try await withSpan(name()) { _ in try await body() }
    }
}

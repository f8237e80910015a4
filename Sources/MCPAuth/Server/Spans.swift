import Tracing

/// Spans for a tracer. Without a tracer they cost nothing.
package enum Spans {
    /// Whether a tracer was set up (`InstrumentationSystem.bootstrap`).
    package static var areOn: Bool { !(InstrumentationSystem.tracer is NoOpTracer) }

    /// Runs `body` in a span. The name comes from code, never from a request.
    package static func around<Result>(_ name: @autoclosure () -> String, _ body: () async throws -> Result) async rethrows -> Result {
        guard areOn else { return try await body() }
        return try await withSpan(name()) { _ in try await body() }
    }
}

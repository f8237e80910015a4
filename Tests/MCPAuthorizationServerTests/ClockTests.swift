import JOSE
import MCPAuthTesting
import OAuth
import Testing

@testable import MCPAuthorizationServer

@Suite("Clocks that are wrong")
struct ClockTests {
    @Test("M-14: a server does not start in 1970")
    func start() async throws {
        await #expect(throws: OAuthError.self) { try await Harness(time: TestClock(1000)) }
    }

    @Test("M-14: a clock that is set is noticed, once, and nothing is swept for an hour")
    func watch() {
        let start = ContinuousClock.now
        let now = NumericDate(seconds: 1_800_000_000)
        var watch = ClockWatch(now, steady: start)
        #expect(watch.jump(at: now.advanced(by: 5), steady: start.advanced(by: .seconds(5))) == nil && !watch.isDoubtful)
        #expect(watch.jump(at: now.advanced(by: 300), steady: start.advanced(by: .seconds(10))) == nil, "less than ten minutes")
        let year: Int64 = 365 * 86400
        #expect(watch.jump(at: now.advanced(by: 305 + year), steady: start.advanced(by: .seconds(15))) == year && watch.isDoubtful)
        #expect(watch.jump(at: now.advanced(by: 310 + year), steady: start.advanced(by: .seconds(20))) == nil && watch.isDoubtful)
        #expect(watch.jump(at: now.advanced(by: 315), steady: start.advanced(by: .seconds(25))) == -year && watch.isDoubtful)
        #expect(watch.jump(at: now.advanced(by: 315 + 3600), steady: start.advanced(by: .seconds(3625))) == nil && !watch.isDoubtful)
    }

    @Test("I3, M-14: what expired while the clock was ahead is refused; what was used stays used when it is set back")
    func jumps() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        let tokens = try await harness.tokens(client)
        let code = try await harness.code(client)
        #expect(try await harness.redeem(client, code).status == 200)
        for jump in [-86400, 365 * 86400, -365 * 86400, 30 * 365 * 86400, -30 * 365 * 86400 + 86400] as [Int64] {
            harness.time.advance(by: jump)
            _ = try await harness.redeem(client, code)
            #expect(try await harness.redeem(client, code).error == "invalid_grant", "\(jump)")
            let reply = try await harness.refresh(client, "unknown")
            #expect(reply.status == 400)
        }
        _ = tokens
    }
}

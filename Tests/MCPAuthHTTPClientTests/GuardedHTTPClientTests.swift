import HTTPTypes
import Hummingbird
import MCPAuthHTTPClient
import NIOCore
import NIOPosix
import OAuth
import Synchronization
import Testing

@Suite("The guarded door out")
struct GuardedHTTPClientTests {
    @Test("R68, R69, C-09: a typed URL opens its own zone, and no other")
    func zones() async throws {
        let (loopback, own, linkLocal) = (IPAddress("127.0.0.1")!, IPAddress("10.1.2.3")!, IPAddress("169.254.169.254")!)
        let open = await OutboundPolicy.zone(of: WebURL("https://93.184.216.34/mcp")!)
        #expect(!open.allows(loopback) && !open.allows(own) && !open.allows(linkLocal) && !open.insecureAllowHTTP)
        let intranet = await OutboundPolicy.zone(of: WebURL("https://10.9.9.9/mcp")!)
        #expect(!intranet.allows(loopback) && intranet.allows(own) && !intranet.allows(linkLocal) && !intranet.insecureAllowHTTP)
        for text in ["http://127.0.0.1:8000/mcp", "http://localhost:8000/mcp"] {
            let local = await OutboundPolicy.zone(of: WebURL(text)!)
            #expect(local.allows(loopback) && !local.allows(own) && !local.allows(linkLocal))
        }
    }

    static let development = GuardedHTTPClient(.development)

    /// A server on a free loopback port, for as long as `body` runs.
    func withServer(_ hits: Hits = Hits(), _ body: @Sendable @escaping (Int) async throws -> Void) async throws {
        let router = Router()
        router.get("ok") { request, _ in
            hits.add(request.headers[.authorization] ?? "-")
            return "fine"
        }
        router.get("redirect") { _, _ in Response(status: .found, headers: [.location: "/ok"]) }
        router.get("big") { _, _ in String(repeating: "x", count: 20_000) }
        router.get("endless") { _, _ in
            Response(
                status: .ok,
                body: .init { writer in
                    while true { try await writer.write(ByteBuffer(repeating: 0x78, count: 10_000)) }
                })
        }
        router.get("slow") { _, _ in
            try await Task.sleep(for: .seconds(60))
            return "late"
        }
        router.get("drip") { _, _ in
            Response(
                status: .ok,
                body: .init { writer in
                    while true {
                        try await writer.write(ByteBuffer(string: "x"))
                        try await Task.sleep(for: .milliseconds(100))
                    }
                })
        }
        router.get("host") { request, _ in request.head.authority ?? "-" }
        router.get("fields") { request, _ in request.headers.map { $0.name.canonicalName }.joined(separator: " ") }
        router.get("pause") { _, _ in
            try await Task.sleep(for: .seconds(1))
            return "late"
        }
        router.get("gzip") { _, _ in
            Response(status: .ok, headers: [.contentEncoding: "gzip"], body: .init(byteBuffer: ByteBuffer(bytes: [0x1F, 0x8B, 8, 0])))
        }
        router.get("cookie") { request, _ in
            Response(status: .ok, headers: [.setCookie: "a=b"], body: .init(byteBuffer: ByteBuffer(string: request.headers[.cookie] ?? "none")))
        }
        let (ports, found) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { found.yield($0.localAddress?.port ?? 0) })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            for await port in ports {
                try await body(port)
                break
            }
            group.cancelAll()
            try? await group.waitForAll()
        }
    }

    func fetch(_ url: String, with client: GuardedHTTPClient = development, maximumBytes: Int = 10_000, timeout: Duration = .seconds(60)) async throws
        -> HTTPReply
    {
        let url = try #require(WebURL(url))
        return try await client.fetch(
            OutboundRequest(.get, url, fields: [.authorization: "Bearer secret"], maximumBytes: maximumBytes, timeout: timeout))
    }

    @Test("positive control: an answer comes back whole, by name and by address")
    func control() async throws {
        try await withServer { port in
            for host in ["127.0.0.1", "localhost", "LOCALHOST"] {
                let reply = try await fetch("http://\(host):\(port)/ok")
                #expect(reply.response.status == .ok && String(decoding: reply.body, as: UTF8.self) == "fine")
            }
        }
    }

    @Test("C-08, J-23: a redirect is an answer like any other; nobody follows it")
    func redirects() async throws {
        let hits = Hits()
        try await withServer(hits) { port in
            let reply = try await fetch("http://127.0.0.1:\(port)/redirect")
            #expect(reply.response.status == .found)
        }
        #expect(hits.all.isEmpty)
    }

    @Test("J-23: what is too big or too slow is given up, whichever way it is", arguments: ["big", "endless", "slow", "drip"])
    func limits(_ path: String) async throws {
        try await withServer { port in
            let error = await #expect(throws: OAuthError.self) { try await fetch("http://127.0.0.1:\(port)/\(path)", timeout: .seconds(1)) }
            #expect(error?.code == .fetchFailed)
        }
    }

    @Test("content codings stay as they are, and cookies are forgotten")
    func raw() async throws {
        try await withServer { port in
            let packed = try await fetch("http://127.0.0.1:\(port)/gzip")
            #expect(packed.body.count == 4)
            for _ in 0..<2 {
                let reply = try await fetch("http://127.0.0.1:\(port)/cookie")
                #expect(reply.body == Array("none".utf8))
            }
        }
    }

    @Test(
        "S: by default only https, and no address of this machine or its neighbours",
        arguments: [
            "https://127.0.0.1:%/ok", "https://localhost:%/ok", "https://[::1]:%/ok", "https://[::ffff:127.0.0.1]:%/ok", "https://10.0.0.1/",
            "https://169.254.169.254/latest",
            "https://[fd00::1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://0.0.0.0:%/ok", "http://127.0.0.1:%/ok",
            "http://example.com/",
        ])
    func strict(_ template: String) async throws {
        let hits = Hits()
        try await withServer(hits) { port in
            let text = String(template.map { $0 == "%" ? "\(port)" : String($0) }.joined())
            guard let url = WebURL(text) else { return }
            await #expect(throws: OAuthError.self) { try await GuardedHTTPClient.shared.fetch(OutboundRequest(.get, url, timeout: .seconds(2))) }
        }
        #expect(hits.all.isEmpty)
    }

    @Test(
        "S-05: a name of which any address is inner, or that has none or too many, is connected to nowhere",
        arguments: [
            ["10.0.0.5"], ["93.184.216.34", "10.0.0.5"], ["2606:2800:220:1::1", "fd00::1"], ["93.184.216.34", "::ffff:169.254.169.254"], ["fe80::1"],
            ["0.0.0.0"], ["127.0.0.1", "10.0.0.5"], [], Array(repeating: "127.0.0.1", count: 200),
        ])
    func answers(_ addresses: [String]) async throws {
        let hits = Hits()
        let client = GuardedHTTPClient(.development) { _, _, _ in addresses.map { ($0, IPAddress($0)!) } }
        try await withServer(hits) { port in
            await #expect(throws: OAuthError.self) { try await fetch("http://names.test:\(port)/ok", with: client, timeout: .seconds(2)) }
        }
        await client.shutdown()
        #expect(hits.all.isEmpty)
    }

    @Test("S-05: the connection goes to the address that was checked, under the name that was asked for; each fetch asks once")
    func rebinding() async throws {
        let asked = Hits()
        let client = GuardedHTTPClient(.development) { host, _, _ in
            asked.add(host)
            // The second answer of a rebinding name: nobody may ever ask for it within one fetch.
            return asked.all.count % 2 == 1 ? [("127.0.0.1", IPAddress("127.0.0.1")!)] : [("10.0.0.5", IPAddress("10.0.0.5")!)]
        }
        try await withServer { port in
            let reply = try await fetch("http://rebind.test:\(port)/host", with: client)
            #expect(String(decoding: reply.body, as: UTF8.self) == "rebind.test:\(port)")
            #expect(asked.all == ["rebind.test"])
            await #expect(throws: OAuthError.self, "the second answer is looked at as the first was") {
                try await fetch("http://rebind.test:\(port)/host", with: client, timeout: .seconds(2))
            }
        }
        await client.shutdown()
    }

    @Test(
        "S-08: a body that is announced too long, compressed, or never comes; headers by the byte; silence: given up in time, and little is read",
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "HTTP/1.1 200 OK\r\nX: ", "",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "not HTTP at all\r\n\r\n", "HTTP/1.1 200 OK\r\n" + String(repeating: "X: y\r\n", count: 20_000),
        ])
    func wire(_ answer: String) async throws {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                // Says its part and then nothing more, and does not hang up.
                channel.writeAndFlush(ByteBuffer(string: answer), promise: nil)
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        let error = await #expect(throws: OAuthError.self) { try await fetch("http://127.0.0.1:\(port)/x", maximumBytes: 5120, timeout: .seconds(1)) }
        #expect(error?.code == .fetchFailed)
        try await channel.close()
    }

    @Test("S-15: nothing but what was given is sent")
    func fields() async throws {
        try await withServer { port in
            let client = GuardedHTTPClient(.development)
            let url = try #require(WebURL("http://127.0.0.1:\(port)/fields"))
            let reply = try await client.fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"], timeout: .seconds(60)))
            #expect(
                Set(String(decoding: reply.body, as: UTF8.self).split(separator: " ").map(String.init)).isSubset(of: ["accept", "content-length"]))
            await client.shutdown()
        }
    }

    @Test("a client that is let go without a shutdown closes its connections, and does not end the process")
    func letGo() async throws {
        try await withServer { port in
            for _ in 0..<3 {
                let client = GuardedHTTPClient(.development)
                let reply = try await fetch("http://127.0.0.1:\(port)/ok", with: client)
                #expect(reply.response.status == .ok)
            }
        }
        try await Task.sleep(for: .milliseconds(200))
    }

    @Test("a client that is in use is not closed to make room for others")
    func crowd() async throws {
        let client = GuardedHTTPClient(.development) { _, _, _ in [("127.0.0.1", IPAddress("127.0.0.1")!)] }
        try await withServer { port in
            // What is tested is not how quick a busy machine is.
            @Sendable func patient(_ text: String) async throws -> HTTPReply {
                try await client.fetch(OutboundRequest(.get, try #require(WebURL(text)), timeout: .seconds(60)))
            }
            async let long = patient("http://first.test:\(port)/pause")
            try await Task.sleep(for: .milliseconds(100))
            for index in 0..<80 { #expect(try await patient("http://n\(index).test:\(port)/ok").response.status == .ok) }
            #expect(try await long.response.status == .ok)
        }
        await client.shutdown()
    }

    @Test("the development policy reaches loopback, and still no private network")
    func development() {
        #expect(OutboundPolicy.development.allows(IPAddress(bytes: [127, 0, 0, 1])!))
        for address in [[10, 0, 0, 1], [192, 168, 1, 1], [169, 254, 169, 254]] as [[UInt8]] {
            #expect(!OutboundPolicy.development.allows(IPAddress(bytes: address)!))
        }
    }

    @Test("S-04: a failure names no reason to a stranger, and the reason to the one who chose the URL")
    func reasons() async throws {
        try await withServer { port in
            let silent = GuardedHTTPClient(.development)
            let explaining = GuardedHTTPClient(.development, explainsFailures: true)
            // What a server does with URLs of its configuration.
            let configured = silent.forConfiguredURLs
            let rows = [
                ("https://127.0.0.1:\(port)/ok", "does not speak TLS; did you mean http://127.0.0.1:\(port)/ok?"),
                ("http://127.0.0.1:1/ok", "nothing accepts connections on port 1"),
                ("http://no-such-host.invalid/ok", "the name has no address"), ("http://127.0.0.1:\(port)/big", "longer than 10000 bytes"),
                ("http://127.0.0.1:\(port)/slow", "no answer within 8 seconds"),
            ]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (url, reason) in rows {
                    // What is tested is not how quick a busy machine is.
                    let timeout: Duration = url.hasSuffix("/slow") ? .seconds(8) : .seconds(120)
                    let request = OutboundRequest(.get, try #require(WebURL(url)), maximumBytes: 10_000, timeout: timeout)
                    let place = request.url.hostForURL + (request.url.port.map { ":\($0)" } ?? "")
                    for fetcher in [explaining, configured] as [any HTTPFetcher] {
                        group.addTask {
                            var message = "could be made in time"
                            // A busy machine may need longer for a connection than a client waits.
                            for _ in 0..<20 where message.contains("could be made in time") {
                                message = await #expect(throws: OAuthError.self) { try await fetcher.fetch(request) }?.message ?? "-"
                            }
                            #expect(message.contains(reason), "\(url): \(message)")
                        }
                    }
                    group.addTask {
                        let error = await #expect(throws: OAuthError.self) { try await silent.fetch(request) }
                        #expect(error?.message == "could not reach \(place)")
                    }
                    // The reader of a stream limits it by itself.
                    guard !url.hasSuffix("/big") else { continue }
                    group.addTask {
                        let error = await #expect(throws: OAuthError.self) { try await silent.send(request) }
                        #expect(error?.message == "could not reach \(place)")
                    }
                }
                try await group.waitForAll()
            }
            await silent.shutdown()
            await explaining.shutdown()
        }
    }

    @Test("L-04: the error names the host that was asked for, and no address and no secret")
    func messages() async throws {
        let error = await #expect(throws: OAuthError.self) { try await fetch("http://127.0.0.1:1/ok?token=hidden") }
        #expect(error?.message.contains("hidden") == false && error?.message.contains("secret") == false)
    }
}

final class Hits: Sendable {
    private let storage = Mutex<[String]>([])
    var all: [String] { storage.withLock { $0 } }
    func add(_ hit: String) { storage.withLock { $0.append(hit) } }
}

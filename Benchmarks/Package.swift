// swift-tools-version: 6.2
// Measures the package above from outside, as a user of it would build on it. `make bench` runs everything.
import PackageDescription

let settings: [SwiftSetting] = [.enableUpcomingFeature("ExistentialAny")]

let package = Package(
    name: "benchmarks", platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "swift-mcp-auth", path: ".."),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .target(name: "CAllocations"),
        .executableTarget(
            name: "benchmarks",
            dependencies: [
                "CAllocations",
                .product(name: "JOSE", package: "swift-mcp-auth"),
                .product(name: "OAuth", package: "swift-mcp-auth"),
                .product(name: "IdentityProviders", package: "swift-mcp-auth"),
                .product(name: "MCPAuth", package: "swift-mcp-auth"),
                .product(name: "MCPAuthorizationServer", package: "swift-mcp-auth"),
                .product(name: "MCPAuthSQLite", package: "swift-mcp-auth"),
                .product(name: "MCPAuthHummingbird", package: "swift-mcp-auth"),
                .product(name: "MCPAuthClient", package: "swift-mcp-auth"),
                .product(name: "MCPAuthHTTPClient", package: "swift-mcp-auth"),
                .product(name: "MCPServer", package: "swift-mcp-auth"),
                .product(name: "MCPAuthTesting", package: "swift-mcp-auth"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ], swiftSettings: settings),
    ])

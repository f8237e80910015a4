// swift-tools-version: 6.2
// The rooms of the house and the one direction in which imports run:
// JOSE <- OAuth <- IdentityProviders <- {MCPAuth <- MCPAuthorizationServer, MCPAuthClient} <- {MCPServer, MCPClient, adapters} <- mcp-auth.
import PackageDescription

/// `MCP_AUTH_CORE=1 swift test --scratch-path .build/core` builds and tests JOSE and OAuth alone, in about a minute.
let coreOnly = Context.environment["MCP_AUTH_CORE"] != nil

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let tracing: Target.Dependency = .product(name: "Tracing", package: "swift-distributed-tracing")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdTLS: Target.Dependency = .product(name: "HummingbirdTLS", package: "hummingbird")
let certificateReloading: Target.Dependency = .product(name: "NIOCertificateReloading", package: "swift-nio-extras")
let hummingbirdTesting: Target.Dependency = .product(name: "HummingbirdTesting", package: "hummingbird")
let asyncHTTPClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let certificates: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

/// A server of one file, to read and to run.
func example(_ name: String, _ folder: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: "example-" + name, dependencies: dependencies, path: "Examples/" + folder, swiftSettings: settings)
}

var products: [Product] = [
    .library(name: "JOSE", targets: ["JOSE"]),
    .library(name: "OAuth", targets: ["OAuth"]),
]

var dependencies: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
]

var targets: [Target] = [
    library("JOSE", [crypto, cryptoExtras]),
    library("OAuth", ["JOSE", httpTypes, crypto]),
    tests("JOSETests", ["JOSE", crypto, cryptoExtras]),
    tests("OAuthTests", ["OAuth", "JOSE", httpTypes]),
]

if !coreOnly {
    products += [
        .library(name: "IdentityProviders", targets: ["IdentityProviders"]),
        .library(name: "MCPAuth", targets: ["MCPAuth"]),
        .library(name: "MCPAuthorizationServer", targets: ["MCPAuthorizationServer"]),
        .library(name: "MCPAuthClient", targets: ["MCPAuthClient"]),
        .library(name: "MCPClient", targets: ["MCPClient"]),
        .library(name: "MCPServer", targets: ["MCPServer"]),
        .library(name: "MCPAuthHummingbird", targets: ["MCPAuthHummingbird"]),
        .library(name: "MCPAuthHTTPClient", targets: ["MCPAuthHTTPClient"]),
        .library(name: "MCPAuthSQLite", targets: ["MCPAuthSQLite"]),
        .library(name: "MCPAuthMetrics", targets: ["MCPAuthMetrics"]),
        .library(name: "MCPAuthTesting", targets: ["MCPAuthTesting"]),
        .executable(name: "mcp-auth", targets: ["mcp-auth"]),
    ]
    dependencies += [
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // Without its default traits, which bring swift-configuration and more of Foundation.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.36.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.1"),
        .package(url: "https://github.com/apple/swift-certificates.git", from: "1.19.0"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.1.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ]
    targets += [
        tests("IdentityProvidersTests", ["IdentityProviders", "OAuth", "JOSE"]),
        tests("MCPAuthTests", ["IdentityProviders", "MCPAuth", "MCPAuthTesting", "OAuth", "JOSE", httpTypes, log]),
        tests(
            "MCPAuthorizationServerTests",
            ["IdentityProviders", "MCPAuthorizationServer", "MCPAuth", "MCPAuthTesting", "OAuth", "JOSE", httpTypes, crypto]),
        tests(
            "MCPAuthClientTests",
            ["MCPAuthClient", "MCPClient", "MCPAuthTesting", "MCPAuth", "MCPAuthorizationServer", "MCPServer", "OAuth", "JOSE", httpTypes, log]),
        tests("MCPAuthSQLiteTests", ["MCPAuthSQLite", "MCPAuthorizationServer", "MCPAuthTesting", "OAuth", "JOSE", grdb]),
        tests(
            "MCPServerTests",
            ["MCPServer", "IdentityProviders", "MCPAuthorizationServer", "MCPAuth", "MCPAuthTesting", "OAuth", "JOSE", httpTypes, crypto, log]),
        tests(
            "MCPAuthHummingbirdTests",
            [
                "MCPAuthHummingbird", "MCPServer", "MCPAuth", "MCPAuthorizationServer", "MCPAuthTesting", "OAuth", "JOSE", httpTypes, hummingbird,
                hummingbirdTesting, tracing, "MCPAuthMetrics", metrics, lifecycle,
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        tests(
            "MCPAuthHTTPClientTests",
            [
                "MCPAuthHTTPClient", "OAuth", httpTypes, hummingbird, hummingbirdTesting, .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        library("IdentityProviders", ["OAuth", "JOSE"]),
        library("MCPAuth", ["IdentityProviders", "OAuth", "JOSE", httpTypes, log, metrics, tracing, crypto]),
        library("MCPAuthorizationServer", ["OAuth", "JOSE", "IdentityProviders", "MCPAuth", httpTypes, log, lifecycle, crypto, cryptoExtras]),
        library("MCPAuthClient", ["OAuth", "JOSE", httpTypes, log, crypto, cryptoExtras]),
        library("MCPClient", ["MCPAuthClient", "OAuth", "JOSE", httpTypes, log]),
        library("MCPServer", ["MCPAuth", "OAuth", "JOSE", httpTypes, log, metrics, tracing, crypto]),
        library(
            "MCPAuthHummingbird",
            [
                "MCPAuth", "MCPAuthorizationServer", "MCPServer", "OAuth", "JOSE", httpTypes, hummingbird, log, lifecycle, tracing, crypto,
                .product(name: "HummingbirdCore", package: "hummingbird"), .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                hummingbirdTLS, certificateReloading, certificates, asn1, .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOCore", package: "swift-nio"),
            ]),
        library(
            "MCPAuthHTTPClient",
            [
                "OAuth", "JOSE", "MCPAuth", "MCPAuthClient", asyncHTTPClient, httpTypes, log, crypto,
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]),
        library("MCPAuthSQLite", ["MCPAuthorizationServer", "MCPAuth", "OAuth", "JOSE", grdb, log]),
        library("MCPAuthMetrics", ["OAuth", hummingbird, httpTypes, metrics, lifecycle, log]),
        library(
            "MCPAuthTesting",
            ["IdentityProviders", "MCPAuth", "MCPAuthClient", "MCPAuthorizationServer", "MCPServer", "OAuth", "JOSE", httpTypes, crypto]),
        .executableTarget(
            name: "mcp-auth",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                "IdentityProviders", "MCPAuth", "MCPAuthorizationServer", "MCPServer", "MCPAuthHummingbird", "MCPAuthHTTPClient", "MCPAuthSQLite",
                "MCPAuthClient", "MCPClient", crypto,
                "MCPAuthMetrics", "MCPAuthTesting", "OAuth", "JOSE", hummingbird, log, metrics, lifecycle, grdb, httpTypes,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        example("environment", "Environment", ["MCPServer", "MCPAuthHummingbird", "MCPAuthHTTPClient", "MCPAuth", "OAuth"]),
        example("auth0", "Auth0", ["MCPServer", "MCPAuthHummingbird", "MCPAuthHTTPClient", "MCPAuth", "OAuth"]),
        example(
            "passwords", "Passwords", ["MCPServer", "MCPAuthHummingbird", "MCPAuthSQLite", "MCPAuthorizationServer", "MCPAuth", "OAuth", "JOSE"]),
        example(
            "github", "GitHub",
            [
                "MCPServer", "MCPAuthHummingbird", "MCPAuthHTTPClient", "MCPAuthSQLite", "MCPAuthorizationServer", "IdentityProviders", "MCPAuth",
                "OAuth", "JOSE", httpTypes,
            ]),
        example(
            "sign-in", "SignIn",
            [
                "MCPServer", "MCPAuthHummingbird", "MCPAuthHTTPClient", "MCPAuthSQLite", "MCPAuthorizationServer", "IdentityProviders", "MCPAuth",
                "OAuth",
            ]),
        example("introspection", "Introspection", ["MCPServer", "MCPAuthHummingbird", "MCPAuthHTTPClient", "MCPAuth", "OAuth"]),
        example("api-keys", "APIKeys", ["MCPServer", "MCPAuthHummingbird", "MCPAuth", "OAuth", "JOSE", crypto]),
        example("any-framework", "AnyFramework", ["MCPAuthHTTPClient", "MCPAuthHummingbird", "MCPAuth", "OAuth", hummingbird]),
    ]
}

let package = Package(
    name: "swift-mcp-auth", platforms: [.macOS(.v15)], products: products, dependencies: dependencies, targets: targets)

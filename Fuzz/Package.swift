// swift-tools-version: 6.2
// Fuzzes every decoder with libFuzzer. `make fuzz` runs each target for a while; `Fuzz/run NAME` runs one.
import PackageDescription

let package = Package(
    name: "fuzz", platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "swift-mcp-auth", path: ".."),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    ],
    targets: [
        .target(name: "CFuzzer"),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "CFuzzer",
                .product(name: "JOSE", package: "swift-mcp-auth"),
                .product(name: "OAuth", package: "swift-mcp-auth"),
                .product(name: "MCPAuth", package: "swift-mcp-auth"),
                .product(name: "MCPAuthorizationServer", package: "swift-mcp-auth"),
                .product(name: "MCPServer", package: "swift-mcp-auth"),
                .product(name: "MCPAuthTesting", package: "swift-mcp-auth"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            path: "Sources/Fuzz"),
    ])

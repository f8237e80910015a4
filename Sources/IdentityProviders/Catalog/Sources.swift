/// The projects and documents in which the facts were found, with the version that was read.
enum Source {
    static let fastMCP = "FastMCP 4.2.3"
    static let betterAuth = "better-auth 451aa4b"
    static let authJS = "Auth.js a1a16a5"
    static let goTrue = "supabase/auth bc32168"
    static let kratos = "Ory Kratos b86338d"
    static let dex = "Dex ab64ed7"
    static let oauth2Proxy = "oauth2-proxy 14af295"
    static let pomerium = "pomerium c8ace10"
    static let agentgateway = "agentgateway 75b4e6c"
    static let spring = "Spring Security d449950"
    static let mcpAuth = "mcp-auth documentation b0f6312"
}

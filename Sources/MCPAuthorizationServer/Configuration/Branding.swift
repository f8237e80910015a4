import OAuth

/// The appearance of the pages. Nil values keep the default appearance.
public struct Branding: Sendable, Hashable {
    /// An image above each page. This server serves it, so that no other server learns which users sign in.
    public var logo: Logo?
    /// Colours as `#rrggbb`, for light and dark mode. Text on them is black or white, whichever is easier to read.
    public var accent: (light: String, dark: String)?

    /// An image with a description.
    public struct Logo: Sendable, Hashable {
        /// The bytes of the image file, at most 512 KiB.
        public let bytes: [UInt8]
        /// `image/png`, `image/svg+xml`, `image/jpeg` or `image/webp`.
        public let mediaType: String
        /// The text for users who do not see the image.
        public let description: String

        /// An image. Media type and size are checked when the server starts. The content is not checked.
        public init(_ bytes: [UInt8], mediaType: String, description: String) {
            self.bytes = bytes
            self.mediaType = mediaType
            self.description = description
        }
    }

    /// The default appearance.
    public init() {}

    func check() throws(OAuthError) {
        if let accent {
            for colour in [accent.light, accent.dark] {
                guard Colour(colour) != nil else {
                    throw OAuthError(.invalidConfiguration, "branding: a colour is written #rrggbb, not \(colour.prefix(32))")
                }
            }
        }
        if let logo {
            guard ["image/png", "image/svg+xml", "image/jpeg", "image/webp"].contains(logo.mediaType), logo.bytes.count <= 512 * 1024 else {
                throw OAuthError(.invalidConfiguration, "branding: a logo is a PNG, SVG, JPEG or WebP of at most 512 KiB")
            }
        }
    }

    public static func == (left: Branding, right: Branding) -> Bool {
        left.logo == right.logo && left.accent?.light == right.accent?.light && left.accent?.dark == right.accent?.dark
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(logo)
        hasher.combine(accent?.light)
        hasher.combine(accent?.dark)
    }
}

/// A colour, and whether black or white text is easier to read on it (WCAG 2.2, relative luminance).
struct Colour {
    let text: String
    private let luminance: Double

    static let black = Colour(text: "#000000", luminance: 0)

    private init(text: String, luminance: Double) {
        self.text = text
        self.luminance = luminance
    }

    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 7, bytes[0] == UInt8(ascii: "#") else { return nil }
        var channels: [Double] = []
        for index in stride(from: 1, to: 7, by: 2) {
            guard let high = URLBytes.hexValue(bytes[index]), let low = URLBytes.hexValue(bytes[index + 1]) else { return nil }
            channels.append(Double(high << 4 | low) / 255)
        }
        self.text = text
        // The square approximates the power of 2.2. It decides the same way for every colour that matters.
        let linear = channels.map { $0 * $0 }
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    var textColour: String { luminance > 0.2 ? "#000000" : "#ffffff" }
}

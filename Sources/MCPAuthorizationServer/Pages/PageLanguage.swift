import HTTPTypes
import OAuth

/// A language that the pages speak. Those there are can be changed, and others added, in the configuration.
public struct PageLanguage: Sendable, Hashable {
    /// A language tag (BCP 47), such as `en` or `pt-BR`.
    public let tag: String
    public var words: PageWords

    public init(tag: String, words: PageWords) {
        self.tag = tag
        self.words = words
    }

    public static let english = PageLanguage(tag: "en", words: PageWords())

    /// The tags of `ui_locales` or of `Accept-Language`, in their order; quality values are not looked at, since browsers write the best first.
    static func tags(_ text: String, separator: UInt8) -> [String] {
        text.utf8.prefix(256).split(separator: separator).prefix(8).map { part in
            String(decoding: part.prefix { $0 != UInt8(ascii: ";") }.filter { $0 != 0x20 }.map(URLBytes.lowercased), as: UTF8.self)
        }
    }

    /// Whether this is a language that a tag asks for: the same, or of the same primary subtag.
    func suits(_ wanted: String) -> Bool {
        func primary(_ tag: String) -> [UInt8] { tag.utf8.prefix { $0 != UInt8(ascii: "-") }.map(URLBytes.lowercased) }
        return primary(tag) == primary(wanted)
    }
}

extension AuthorizationServerConfiguration {
    /// The language for a request: what the client asked for, else what the browser asks for, else the first.
    func language(_ locales: [String], _ request: HTTPRequest?) -> PageLanguage { PageLanguage.choose(from: languages, locales, request) }
}

extension PageLanguage {
    /// The language for a request: what the client asked for, else what the browser asks for, else the first.
    static func choose(from languages: [PageLanguage], _ locales: [String], _ request: HTTPRequest?) -> PageLanguage {
        let wanted = locales + PageLanguage.tags(request?.headerFields[.acceptLanguage] ?? "", separator: UInt8(ascii: ","))
        for tag in wanted {
            if let language = languages.first(where: { URLBytes.equalIgnoringCase($0.tag, tag) }) ?? languages.first(where: { $0.suits(tag) }) {
                return language
            }
        }
        return languages[0]
    }
}

/// Everything that the pages say. `{0}` and `{1}` stand for what is put in.
public struct PageWords: Sendable, Hashable {
    public var signIn = "Sign in"
    public var toContinueTo = "to continue to {0}"
    public var userName = "User name"
    public var password = "Password"
    public var oneTimeCode = "Six digits from your authenticator app"
    public var wrongPassword = "The user name or the password is wrong."
    public var wrongOneTimeCode = "This code is wrong, or was used before. Wait for the next one."
    public var tooManyAttempts = "Too many attempts. Wait {0} seconds, then try again."
    public var signInAgain = "Sign in again to go on."
    public var allowTitle = "Allow access"
    public var allowQuestion = "Allow {0} to use your account?"
    public var selfRegistered = "This application registered itself. Nobody has checked its name."
    public var ownDomain = "This application is published at {0}. Nobody has checked its name beyond that."
    public var onlyIdentity = "It will only learn who you are."
    public var itWill = "It will be able to:"
    public var chooseLess = "Choose what to allow"
    public var untick = "Untick what you do not want to allow."
    public var tick = "Tick what you want to allow."
    public var seeProfile = "See your name and your user name"
    public var seeEmail = "See your e-mail address"
    public var seeIdentity = "Recognize your account"
    public var knowsWhoYouAre = "Know who you are"
    public var cannotBeUndone = "cannot be undone"
    public var chooseOne = "Tick at least one permission, or cancel."
    public var signedInAs = "Signed in as"
    public var atServer = "At"
    public var thenYouReturnTo = "Then you return to"
    public var loopbackWarning = "This program runs on this computer. Continue only if you started it."
    public var appWarning = "This opens an app on this device, the one that handles {0} links. Continue only if you started it there."
    public var remember = "Do not ask again for this application and these permissions"
    public var allow = "Allow"
    public var cancel = "Cancel"
    public var useAnotherAccount = "Not {0}? Use another account"
    public var connectedApplications = "Connected applications"
    public var nothingConnected = "No application can use your account."
    public var connectedOn = "Connected {0}, last used {1} UTC"
    public var lastDid = "Last: {0}"
    public var disconnect = "Disconnect"
    public var disconnectThis = "Disconnect {0}"
    public var signOut = "Sign out"
    public var signOutEverywhere = "Sign out everywhere"
    public var signOutEverywhereNote = "Ends every sign-in of yours, in every browser, and disconnects every application."
    public var signedOut = "Signed out"
    public var signedOutNote = "Applications that you connected stay connected."
    public var everythingEnded = "Everything has ended: no browser is signed in, and no application can use your account."
    public var deviceTitle = "Connect a device"
    public var deviceExplanation = "Enter the code that the device shows."
    public var deviceCode = "Code"
    public var goOn = "Continue"
    public var noSuchDevice = "No device is waiting with this code. Compare it with the one that the device shows."
    public var deviceWarning =
        "Allow this only if you have a device in front of you that shows the code {0}. Somebody who sent you the code would get in."
    public var deviceAllowed = "Done"
    public var deviceAllowedNote = "You can go back to the device."
    public var deviceDenied = "Nothing was allowed"
    public var deviceDeniedNote = "The device will say so. You can close this page."
    public var errorTitle = "Something is wrong"
    public var notWorking = "This is not working at the moment"
    public var notAllowed = "Access was not allowed"
    public var unknownApplication = "This application is not known here"
    public var badRequest = "The application made a request that cannot be answered"
    public var nothingShared = "Nothing was shared. Close this page and try again from the application that sent you here."
    public var forDevelopers = "For developers"
    public var returnTo = "Return to {0}"
    public var frontTitle = "{0} is an MCP server"
    public var frontExplanation = "AI applications connect to it, sign you in and use its tools for you. Give your application this address:"
    public var frontLoopback = "This server runs on this computer. Applications on the web cannot reach it."
    public var frontAccount = "Sign in and see what is connected"
    public var frontConnect = "Connect an application"
    public var frontAddTo = "Open {0}"
    public var frontMenu = "{0}, then paste the address."
    public var frontCommand = "In a terminal:"
    public var frontFile = "In the file {0}:"
    public var pageNotFound = "This page does not exist"
    public var pageNotFoundNote = "The address may be mistyped, or the page was moved."
    public var toFrontPage = "Go to the front page"

    public init() {}
}

extension PageLanguage {
    public static let german: PageLanguage = {
        var words = PageWords()
        words.signIn = "Anmelden"
        words.toContinueTo = "um fortzufahren mit {0}"
        words.userName = "Benutzername"
        words.password = "Passwort"
        words.oneTimeCode = "Sechs Ziffern aus Ihrer Authenticator-App"
        words.wrongPassword = "Der Benutzername oder das Passwort ist falsch."
        words.wrongOneTimeCode = "Dieser Code ist falsch oder wurde schon benutzt. Warten Sie auf den nächsten."
        words.tooManyAttempts = "Zu viele Versuche. Warten Sie {0} Sekunden und versuchen Sie es dann noch einmal."
        words.signInAgain = "Melden Sie sich noch einmal an, um fortzufahren."
        words.allowTitle = "Zugriff erlauben"
        words.allowQuestion = "Darf {0} Ihr Konto benutzen?"
        words.selfRegistered = "Diese Anwendung hat sich selbst registriert. Niemand hat ihren Namen geprüft."
        words.ownDomain = "Diese Anwendung ist unter {0} veröffentlicht. Darüber hinaus hat niemand ihren Namen geprüft."
        words.onlyIdentity = "Sie erfährt nur, wer Sie sind."
        words.itWill = "Sie wird Folgendes können:"
        words.chooseLess = "Auswählen, was erlaubt wird"
        words.untick = "Nehmen Sie das Häkchen weg, wo Sie etwas nicht erlauben wollen."
        words.tick = "Setzen Sie ein Häkchen, wo Sie etwas erlauben wollen."
        words.seeProfile = "Ihren Namen und Ihren Benutzernamen sehen"
        words.seeEmail = "Ihre E-Mail-Adresse sehen"
        words.seeIdentity = "Ihr Konto wiedererkennen"
        words.knowsWhoYouAre = "Wissen, wer Sie sind"
        words.cannotBeUndone = "nicht rückgängig zu machen"
        words.chooseOne = "Setzen Sie mindestens ein Häkchen, oder brechen Sie ab."
        words.signedInAs = "Angemeldet als"
        words.atServer = "Bei"
        words.thenYouReturnTo = "Danach geht es zurück zu"
        words.loopbackWarning = "Dieses Programm läuft auf diesem Rechner. Fahren Sie nur fort, wenn Sie es gestartet haben."
        words.appWarning =
            "Damit wird eine App auf diesem Gerät geöffnet, die für Links mit {0} zuständig ist. Fahren Sie nur fort, wenn Sie dort begonnen haben."
        words.remember = "Für diese Anwendung und diese Rechte nicht noch einmal fragen"
        words.allow = "Erlauben"
        words.cancel = "Abbrechen"
        words.useAnotherAccount = "Nicht {0}? Anderes Konto benutzen"
        words.connectedApplications = "Verbundene Anwendungen"
        words.nothingConnected = "Keine Anwendung kann Ihr Konto benutzen."
        words.connectedOn = "Verbunden {0}, zuletzt benutzt {1} UTC"
        words.lastDid = "Zuletzt: {0}"
        words.disconnect = "Trennen"
        words.disconnectThis = "{0} trennen"
        words.signOut = "Abmelden"
        words.signOutEverywhere = "Überall abmelden"
        words.signOutEverywhereNote = "Beendet jede Ihrer Anmeldungen in jedem Browser und trennt jede Anwendung."
        words.signedOut = "Abgemeldet"
        words.signedOutNote = "Anwendungen, die Sie verbunden haben, bleiben verbunden."
        words.everythingEnded = "Alles ist beendet: kein Browser ist angemeldet, und keine Anwendung kann Ihr Konto benutzen."
        words.deviceTitle = "Gerät verbinden"
        words.deviceExplanation = "Geben Sie den Code ein, den das Gerät anzeigt."
        words.deviceCode = "Code"
        words.goOn = "Weiter"
        words.noSuchDevice = "Kein Gerät wartet mit diesem Code. Vergleichen Sie ihn mit dem, den das Gerät anzeigt."
        words.deviceWarning =
            "Erlauben Sie das nur, wenn vor Ihnen ein Gerät steht, das den Code {0} anzeigt. Wer Ihnen den Code geschickt hat, käme sonst hinein."
        words.deviceAllowed = "Fertig"
        words.deviceAllowedNote = "Sie können zum Gerät zurückgehen."
        words.deviceDenied = "Es wurde nichts erlaubt"
        words.deviceDeniedNote = "Das Gerät wird es melden. Sie können diese Seite schließen."
        words.errorTitle = "Etwas stimmt nicht"
        words.notWorking = "Das funktioniert im Augenblick nicht"
        words.notAllowed = "Der Zugriff wurde nicht erlaubt"
        words.unknownApplication = "Diese Anwendung ist hier nicht bekannt"
        words.badRequest = "Die Anwendung hat eine Anfrage gestellt, die nicht beantwortet werden kann"
        words.nothingShared =
            "Es wurde nichts weitergegeben. Schließen Sie diese Seite und beginnen Sie noch einmal in der Anwendung, von der Sie kommen."
        words.forDevelopers = "Für Entwickler"
        words.returnTo = "Zurück zu {0}"
        words.frontTitle = "{0} ist ein MCP-Server"
        words.frontExplanation =
            "KI-Anwendungen verbinden sich mit ihm, melden Sie an und benutzen seine Werkzeuge für Sie. Geben Sie Ihrer Anwendung diese Adresse:"
        words.frontLoopback = "Dieser Server läuft auf diesem Rechner. Anwendungen im Web können ihn nicht erreichen."
        words.frontAccount = "Anmelden und sehen, was verbunden ist"
        words.frontConnect = "Eine Anwendung verbinden"
        words.frontAddTo = "{0} öffnen"
        words.frontMenu = "{0}, dann die Adresse einfügen."
        words.frontCommand = "In einem Terminal:"
        words.frontFile = "In der Datei {0}:"
        words.pageNotFound = "Diese Seite gibt es nicht"
        words.pageNotFoundNote = "Vielleicht ist die Adresse falsch geschrieben, oder die Seite wurde verschoben."
        words.toFrontPage = "Zur Startseite"
        return PageLanguage(tag: "de", words: words)
    }()
}

extension String {
    /// With what stands for `{0}`, `{1}` put in.
    func with(_ values: String...) -> String {
        values.enumerated().reduce(self) { text, value in text.replacing("{\(value.offset)}", with: value.element) }
    }

    /// The pieces before and after `{0}`, for where something stands out.
    func around() -> (before: String, after: String) {
        guard let range = firstRange(of: "{0}") else { return (self, "") }
        return (String(self[..<range.lowerBound]), String(self[range.upperBound...]))
    }
}

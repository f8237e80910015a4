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
    public var wrongOneTimeCode = "This code is wrong or was used before. Wait for the next one."
    public var tooManyAttempts = "Too many attempts. Wait {0} seconds, then try again."
    public var signInAgain = "Sign in again to continue."
    public var allowTitle = "Allow access"
    public var allowQuestion = "Allow {0} to use your account?"
    public var selfRegistered = "This application registered itself. Its name has not been verified."
    public var ownDomain = "This application is published at {0}. Its name has not been verified."
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
    public var atServer = "Server address"
    public var thenYouReturnTo = "Then you return to"
    public var loopbackWarning = "This app runs on this computer. Continue only if you started it."
    public var appWarning = "This opens an app on this device, the one that handles {0} links. Continue only if you started it there."
    public var remember = "Do not ask again for this application and these permissions"
    public var allow = "Allow"
    public var cancel = "Cancel"
    public var useAnotherAccount = "Not {0}? Use another account"
    public var connectedApplications = "Connected applications"
    public var nothingConnected = "No application can use your account."
    public var connectedOn = "Connected {0}, last used {1}"
    public var lastDid = "Last: {0}"
    public var disconnect = "Disconnect"
    public var disconnectThis = "Disconnect {0}"
    public var signOut = "Sign out"
    public var signOutEverywhere = "Sign out everywhere"
    public var signOutEverywhereNote = "This signs you out in every browser and disconnects every application. You then have to connect each application again."
    public var signedOut = "Signed out"
    public var signedOutNote = "Connected applications stay connected."
    public var everythingEnded = "You are signed out in every browser, and no application can use your account."
    public var deviceTitle = "Connect a device"
    public var deviceExplanation = "Enter the code that the device shows."
    public var deviceCode = "Code"
    public var goOn = "Continue"
    public var noSuchDevice = "No device is waiting with this code. Compare it with the one that the device shows."
    public var deviceWarning = "Allow this only if the code {0} is shown on a device in front of you. If another person sent you the code, that person gets access to your account."
    public var deviceAllowed = "Done"
    public var deviceAllowedNote = "{0} can now use your account. You can go back to the device."
    public var deviceDenied = "Nothing was allowed"
    public var deviceDeniedNote = "{0} was not allowed to use your account. You can close this page."
    public var errorTitle = "Something is wrong"
    public var notWorking = "This is not working at the moment"
    public var notAllowed = "Access was not allowed"
    public var unknownApplication = "This application is not known here"
    public var badRequest = "The application sent a wrong request"
    public var nothingShared = "Nothing was shared. Close this page and start again from the application."
    public var forDevelopers = "Error code"
    public var returnTo = "Return to {0}"
    public var frontTitle = "{0} is an MCP server"
    public var frontExplanation = "AI applications connect to it, sign you in and use its tools for you. Give your application this address:"
    public var frontLoopback = "This server runs on this computer. Applications on the web cannot reach it."
    public var frontAccount = "Sign in and see what is connected"
    public var frontConnect = "Connect an application"
    public var frontAddTo = "Open {0}"
    public var frontMenu = "{0}, then paste the address."
    public var frontOther = "Applications that support only stdio"
    public var frontCommand = "In a terminal:"
    public var frontFile = "In the file {0}:"
    public var pageNotFound = "This page does not exist"
    public var pageNotFoundNote = "The address may be mistyped, or the page was moved."
    public var toFrontPage = "Go to the front page"

    public var forgotPassword = "Forgot your password?"
    public var contact = "Get help"
    public var oneTimeTitle = "Enter the code of your authenticator app"
    public var signingInAs = "You are signing in as {0}."
    public var useRecoveryCode = "Use a recovery code"
    public var recoveryCode = "Recovery code"
    public var wrongRecoveryCode = "This recovery code is wrong or was used before."
    public var lasts = "Duration"
    public var lastsUntil = "Until you disconnect it, at most {0} days."
    public var whereToEnd = "Your account"
    public var application = "Application"
    public var yourAccount = "Your account"
    public var browsers = "Signed-in browsers"
    public var unknownBrowser = "Unknown browser"
    public var signedInSince = "Signed in {0}"
    public var thisBrowser = "this browser"
    public var signOutThis = "Sign out {0}"
    public var security = "Security"
    public var changePassword = "Change password"
    public var currentPassword = "Current password"
    public var newPassword = "New password"
    public var newPasswordAgain = "New password again"
    public var passwordNote = "At least 8 characters. This signs you out in your other browsers; applications stay connected."
    public var notTheSame = "The two new passwords are not the same."
    public var wrongCurrentPassword = "The current password is wrong."
    public var passwordTooShort = "The new password needs at least 8 characters."
    public var passwordTooCommon = "The new password is one that attackers try first. Choose another one."
    public var setUpCodes = "Set up one-time codes"
    public var manageCodes = "Manage one-time codes"
    public var scanCode = "Scan this with an authenticator app. From then on, signing in needs a code of the app too."
    public var qrLabel = "QR code with the key for the authenticator app"
    public var typeSecret = "Or type this key into the app:"
    public var turnOnCodes = "Turn on one-time codes"
    public var turnOffCodes = "Turn off one-time codes"
    public var newRecoveryCodes = "Create new recovery codes"
    public var recoveryCodesLeft = "One-time codes are on. You have {0} unused recovery codes."
    public var recoveryTitle = "Your recovery codes"
    public var recoveryNote = "Each of these works once in place of a one-time code, if you lose your device. Keep them in a safe place. They are shown only now."
    public var savedCodes = "I have saved them"
    public var backToAccount = "Back to your account"
    public var doneDisconnected = "The application is disconnected."
    public var donePassword = "Your password is changed, and your other browsers are signed out."
    public var doneCodes = "One-time codes are on."
    public var doneNoCodes = "One-time codes are off."
    public var doneSession = "That browser is signed out."
    public var justNow = "just now"
    public var minuteAgo = "a minute ago"
    public var minutesAgo = "{0} minutes ago"
    public var hourAgo = "an hour ago"
    public var hoursAgo = "{0} hours ago"
    public var yesterday = "yesterday"
    public var daysAgo = "{0} days ago"
    public var tooLate = "This is no longer valid"
    public var adviceWait = "Nothing was shared. Wait a moment, then try again."
    public var adviceRegister = "Nothing was shared. Remove this server from the application and add it again."
    public var reason = "Reason"
    public var sent = "The application sent"
    public var registered = "It registered"
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
        words.selfRegistered = "Diese Anwendung hat sich selbst registriert. Ihr Name ist nicht geprüft."
        words.ownDomain = "Diese Anwendung ist unter {0} veröffentlicht. Ihr Name ist nicht geprüft."
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
        words.atServer = "Adresse des Servers"
        words.thenYouReturnTo = "Danach geht es zurück zu"
        words.loopbackWarning = "Diese Anwendung läuft auf diesem Rechner. Fahren Sie nur fort, wenn Sie sie gestartet haben."
        words.appWarning =
            "Damit wird eine App auf diesem Gerät geöffnet, die für Links mit {0} zuständig ist. Fahren Sie nur fort, wenn Sie dort begonnen haben."
        words.remember = "Für diese Anwendung und diese Rechte nicht noch einmal fragen"
        words.allow = "Erlauben"
        words.cancel = "Abbrechen"
        words.useAnotherAccount = "Nicht {0}? Anderes Konto benutzen"
        words.connectedApplications = "Verbundene Anwendungen"
        words.nothingConnected = "Keine Anwendung kann Ihr Konto benutzen."
        words.connectedOn = "Verbunden {0}, zuletzt benutzt {1}"
        words.lastDid = "Zuletzt: {0}"
        words.disconnect = "Trennen"
        words.disconnectThis = "{0} trennen"
        words.signOut = "Abmelden"
        words.signOutEverywhere = "Überall abmelden"
        words.signOutEverywhereNote = "Damit werden Sie in jedem Browser abgemeldet und alle Anwendungen getrennt. Sie müssen danach jede Anwendung neu verbinden."
        words.signedOut = "Abgemeldet"
        words.signedOutNote = "Verbundene Anwendungen bleiben verbunden."
        words.everythingEnded = "Sie sind in jedem Browser abgemeldet, und keine Anwendung kann Ihr Konto benutzen."
        words.deviceTitle = "Gerät verbinden"
        words.deviceExplanation = "Geben Sie den Code ein, den das Gerät anzeigt."
        words.deviceCode = "Code"
        words.goOn = "Weiter"
        words.noSuchDevice = "Kein Gerät wartet mit diesem Code. Vergleichen Sie ihn mit dem, den das Gerät anzeigt."
        words.deviceWarning = "Erlauben Sie das nur, wenn ein Gerät vor Ihnen den Code {0} anzeigt. Hat Ihnen eine andere Person den Code geschickt, bekommt diese Person Zugriff auf Ihr Konto."
        words.deviceAllowed = "Fertig"
        words.deviceAllowedNote = "{0} kann Ihr Konto jetzt benutzen. Sie können zum Gerät zurückgehen."
        words.deviceDenied = "Es wurde nichts erlaubt"
        words.deviceDeniedNote = "{0} darf Ihr Konto nicht benutzen. Sie können diese Seite schließen."
        words.errorTitle = "Etwas stimmt nicht"
        words.notWorking = "Das funktioniert im Augenblick nicht"
        words.notAllowed = "Der Zugriff wurde nicht erlaubt"
        words.unknownApplication = "Diese Anwendung ist hier nicht bekannt"
        words.badRequest = "Die Anwendung hat eine falsche Anfrage gestellt"
        words.nothingShared = "Es wurde nichts weitergegeben. Schließen Sie diese Seite und beginnen Sie noch einmal in der Anwendung."
        words.forDevelopers = "Fehlercode"
        words.returnTo = "Zurück zu {0}"
        words.frontTitle = "{0} ist ein MCP-Server"
        words.frontExplanation =
            "KI-Anwendungen verbinden sich mit ihm, melden Sie an und benutzen seine Werkzeuge für Sie. Geben Sie Ihrer Anwendung diese Adresse:"
        words.frontLoopback = "Dieser Server läuft auf diesem Rechner. Anwendungen im Web können ihn nicht erreichen."
        words.frontAccount = "Anmelden und sehen, was verbunden ist"
        words.frontConnect = "Eine Anwendung verbinden"
        words.frontAddTo = "{0} öffnen"
        words.frontMenu = "{0}, dann die Adresse einfügen."
        words.frontOther = "Anwendungen, die nur stdio unterstützen"
        words.frontCommand = "In einem Terminal:"
        words.frontFile = "In der Datei {0}:"
        words.pageNotFound = "Diese Seite gibt es nicht"
        words.pageNotFoundNote = "Vielleicht ist die Adresse falsch geschrieben, oder die Seite wurde verschoben."
        words.toFrontPage = "Zur Startseite"
        words.forgotPassword = "Passwort vergessen?"
        words.contact = "Hilfe"
        words.oneTimeTitle = "Code aus Ihrer Authenticator-App eingeben"
        words.signingInAs = "Sie melden sich an als {0}."
        words.useRecoveryCode = "Einen Wiederherstellungscode benutzen"
        words.recoveryCode = "Wiederherstellungscode"
        words.wrongRecoveryCode = "Dieser Wiederherstellungscode ist falsch oder wurde schon benutzt."
        words.lasts = "Dauer"
        words.lastsUntil = "Bis Sie die Anwendung trennen, höchstens {0} Tage."
        words.whereToEnd = "Ihr Konto"
        words.application = "Anwendung"
        words.yourAccount = "Ihr Konto"
        words.browsers = "Angemeldete Browser"
        words.unknownBrowser = "Unbekannter Browser"
        words.signedInSince = "Angemeldet {0}"
        words.thisBrowser = "dieser Browser"
        words.signOutThis = "{0} abmelden"
        words.security = "Sicherheit"
        words.changePassword = "Passwort ändern"
        words.currentPassword = "Aktuelles Passwort"
        words.newPassword = "Neues Passwort"
        words.newPasswordAgain = "Neues Passwort noch einmal"
        words.passwordNote = "Mindestens 8 Zeichen. Damit werden Sie in anderen Browsern abgemeldet; Anwendungen bleiben verbunden."
        words.notTheSame = "Die beiden neuen Passwörter sind nicht gleich."
        words.wrongCurrentPassword = "Das aktuelle Passwort ist falsch."
        words.passwordTooShort = "Das neue Passwort braucht mindestens 8 Zeichen."
        words.passwordTooCommon = "Das neue Passwort gehört zu denen, die Angreifer zuerst probieren. Wählen Sie ein anderes."
        words.setUpCodes = "Einmalcodes einrichten"
        words.manageCodes = "Einmalcodes verwalten"
        words.scanCode = "Scannen Sie das mit einer Authenticator-App. Danach braucht die Anmeldung auch einen Code der App."
        words.qrLabel = "QR-Code mit dem Schlüssel für die Authenticator-App"
        words.typeSecret = "Oder tippen Sie diesen Schlüssel in die App:"
        words.turnOnCodes = "Einmalcodes einschalten"
        words.turnOffCodes = "Einmalcodes ausschalten"
        words.newRecoveryCodes = "Neue Wiederherstellungscodes erzeugen"
        words.recoveryCodesLeft = "Einmalcodes sind eingeschaltet. Sie haben {0} unbenutzte Wiederherstellungscodes."
        words.recoveryTitle = "Ihre Wiederherstellungscodes"
        words.recoveryNote = "Jeder davon ersetzt einmal einen Einmalcode, falls Sie Ihr Gerät verlieren. Bewahren Sie sie sicher auf. Sie werden nur jetzt gezeigt."
        words.savedCodes = "Ich habe sie gesichert"
        words.backToAccount = "Zurück zu Ihrem Konto"
        words.doneDisconnected = "Die Anwendung ist getrennt."
        words.donePassword = "Ihr Passwort ist geändert, und Ihre anderen Browser sind abgemeldet."
        words.doneCodes = "Einmalcodes sind eingeschaltet."
        words.doneNoCodes = "Einmalcodes sind ausgeschaltet."
        words.doneSession = "Dieser Browser ist abgemeldet."
        words.justNow = "gerade eben"
        words.minuteAgo = "vor einer Minute"
        words.minutesAgo = "vor {0} Minuten"
        words.hourAgo = "vor einer Stunde"
        words.hoursAgo = "vor {0} Stunden"
        words.yesterday = "gestern"
        words.daysAgo = "vor {0} Tagen"
        words.tooLate = "Das ist nicht mehr gültig"
        words.adviceWait = "Es wurde nichts weitergegeben. Warten Sie einen Moment und versuchen Sie es noch einmal."
        words.adviceRegister = "Es wurde nichts weitergegeben. Entfernen Sie diesen Server aus der Anwendung und fügen Sie ihn neu hinzu."
        words.reason = "Grund"
        words.sent = "Die Anwendung hat gesendet"
        words.registered = "Sie hat registriert"
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

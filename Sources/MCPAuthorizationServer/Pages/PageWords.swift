/// Everything that the pages say. `{0}` and `{1}` stand for what is put in.
public struct PageWords: Sendable, Hashable {
    /// Sign-in page.
    public var signIn = "Sign in"
    /// Sign-in page. `{0}`: the application.
    public var toContinueTo = "to continue to {0}"
    /// Sign-in page.
    public var userName = "User name"
    /// Sign-in page.
    public var password = "Password"
    /// One-time code page.
    public var oneTimeCode = "Six digits from your authenticator app"
    /// Sign-in page.
    public var wrongPassword = "The user name or the password is wrong."
    /// One-time code page.
    public var wrongOneTimeCode = "This code is wrong or was used before. Wait for the next one."
    /// Sign-in page. `{0}`: a number of seconds.
    public var tooManyAttempts = "Too many attempts. Wait {0} seconds, then try again."
    /// Sign-in page.
    public var signInAgain = "Sign in again to continue."
    /// Consent page.
    public var allowTitle = "Allow access"
    /// Consent page. `{0}`: the application.
    public var allowQuestion = "Allow {0} to use your account?"
    /// Consent page.
    public var selfRegistered = "This application registered itself. Its name has not been verified."
    /// Consent page. `{0}`: the host of its document.
    public var ownDomain = "This application is published at {0}. Its name has not been verified."
    /// Consent page.
    public var onlyIdentity = "It will only learn who you are."
    /// Consent page.
    public var itWill = "It will be able to:"
    /// Consent page.
    public var chooseLess = "Choose what to allow"
    /// Consent page.
    public var untick = "Untick what you do not want to allow."
    /// Consent page.
    public var tick = "Tick what you want to allow."
    /// Consent page.
    public var seeProfile = "See your name and your user name"
    /// Consent page.
    public var seeEmail = "See your e-mail address"
    /// Consent page.
    public var seeIdentity = "Recognize your account"
    /// Account page.
    public var knowsWhoYouAre = "Know who you are"
    /// Consent page.
    public var cannotBeUndone = "cannot be undone"
    /// Consent page.
    public var chooseOne = "Tick at least one permission, or cancel."
    /// Several pages.
    public var signedInAs = "Signed in as"
    /// Consent page.
    public var atServer = "Server address"
    /// Consent page.
    public var thenYouReturnTo = "Then you return to"
    /// Consent page.
    public var loopbackWarning = "This app runs on this computer. Continue only if you started it."
    /// Consent page. `{0}`: the scheme of the links.
    public var appWarning = "This opens an app on this device, the one that handles {0} links. Continue only if you started it there."
    /// Consent page.
    public var remember = "Do not ask again for this application and these permissions"
    /// Consent page.
    public var allow = "Allow"
    /// Several pages.
    public var cancel = "Cancel"
    /// Consent page. `{0}`: the user.
    public var useAnotherAccount = "Not {0}? Use another account"
    /// Account page.
    public var connectedApplications = "Connected applications"
    /// Account page.
    public var nothingConnected = "No application can use your account."
    /// Account page. `{0}`: a date; `{1}`: how long ago.
    public var connectedOn = "Connected {0}, last used {1}"
    /// Account page. `{0}`: an operation, such as `tool search-tasks`.
    public var lastDid = "Last: {0}"
    /// Account page.
    public var disconnect = "Disconnect"
    /// Account page. `{0}`: the application.
    public var disconnectThis = "Disconnect {0}"
    /// Account page.
    public var signOut = "Sign out"
    /// Account page.
    public var signOutEverywhere = "Sign out everywhere"
    /// Sign-out pages.
    public var signOutEverywhereNote =
        "This signs you out in every browser and disconnects every application. You then have to connect each application again."
    /// Sign-out pages.
    public var signedOut = "Signed out"
    /// Sign-out pages.
    public var signedOutNote = "Connected applications stay connected."
    /// Sign-out pages.
    public var everythingEnded = "You are signed out in every browser, and no application can use your account."
    /// Device pages.
    public var deviceTitle = "Connect a device"
    /// Device pages.
    public var deviceExplanation = "Enter the code that the device shows."
    /// Device pages.
    public var deviceCode = "Code"
    /// Several pages.
    public var goOn = "Continue"
    /// Device pages.
    public var noSuchDevice = "No device is waiting with this code. Compare it with the one that the device shows."
    /// Consent page. `{0}`: the user code.
    public var deviceWarning =
        "Allow this only if the code {0} is shown on a device in front of you. If another person sent you the code, that person gets access to your account."
    /// Device pages.
    public var deviceAllowed = "Done"
    /// Device pages. `{0}`: the application.
    public var deviceAllowedNote = "{0} can now use your account. You can go back to the device."
    /// Device pages.
    public var deviceDenied = "Nothing was allowed"
    /// Device pages. `{0}`: the application.
    public var deviceDeniedNote = "{0} was not allowed to use your account. You can close this page."
    /// Error page.
    public var errorTitle = "Something is wrong"
    /// Error page.
    public var notWorking = "This is not working at the moment"
    /// Error page.
    public var notAllowed = "Access was not allowed"
    /// Error page.
    public var unknownApplication = "This application is not known here"
    /// Error page.
    public var badRequest = "The application sent a wrong request"
    /// Error page.
    public var nothingShared = "Nothing was shared. Close this page and start again from the application."
    /// Error page.
    public var forDevelopers = "Error code"
    /// Error page. `{0}`: a host.
    public var returnTo = "Return to {0}"
    /// Front page. `{0}`: the name of the server.
    public var frontTitle = "{0} is an MCP server"
    /// Front page.
    public var frontExplanation = "AI applications connect to it, sign you in and use its tools for you. Give your application this address:"
    /// Front page.
    public var frontLoopback = "This server runs on this computer. Applications on the web cannot reach it."
    /// Front page.
    public var frontAccount = "Sign in and see what is connected"
    /// Front page.
    public var frontConnect = "Connect an application"
    /// Front page. `{0}`: an application.
    public var frontAddTo = "Open {0}"
    /// Front page. `{0}`: menus of an application.
    public var frontMenu = "{0}, then paste the address."
    /// Front page.
    public var frontOther = "Applications that support only stdio"
    /// Front page.
    public var frontCommand = "In a terminal:"
    /// Front page. `{0}`: a file.
    public var frontFile = "In the file {0}:"
    /// Page for unknown paths.
    public var pageNotFound = "This page does not exist"
    /// Page for unknown paths.
    public var pageNotFoundNote = "The address may be mistyped, or the page was moved."
    /// Page for unknown paths.
    public var toFrontPage = "Go to the front page"

    /// Sign-in page.
    public var forgotPassword = "Forgot your password?"
    /// Sign-in page.
    public var contact = "Get help"
    /// One-time code page.
    public var oneTimeTitle = "Enter the code of your authenticator app"
    /// One-time code page. `{0}`: the user.
    public var signingInAs = "You are signing in as {0}."
    /// One-time code page.
    public var useRecoveryCode = "Use a recovery code"
    /// One-time code page.
    public var recoveryCode = "Recovery code"
    /// One-time code page.
    public var wrongRecoveryCode = "This recovery code is wrong or was used before."
    /// Consent page.
    public var lasts = "Duration"
    /// Consent page. `{0}`: a number of days.
    public var lastsUntil = "Until you disconnect it, at most {0} days."
    /// Consent page.
    public var whereToEnd = "Your account"
    /// Device pages.
    public var application = "Application"
    /// Account page.
    public var yourAccount = "Your account"
    /// Account page.
    public var browsers = "Signed-in browsers"
    /// Account page.
    public var unknownBrowser = "Unknown browser"
    /// Account page. `{0}`: how long ago.
    public var signedInSince = "Signed in {0}"
    /// Account page.
    public var thisBrowser = "this browser"
    /// Account page. `{0}`: a browser.
    public var signOutThis = "Sign out {0}"
    /// Account page.
    public var security = "Security"
    /// Password page.
    public var changePassword = "Change password"
    /// Password page.
    public var currentPassword = "Current password"
    /// Password page.
    public var newPassword = "New password"
    /// Password page.
    public var newPasswordAgain = "New password again"
    /// Password page.
    public var passwordNote = "At least 8 characters. This signs you out in your other browsers."
    /// Password page.
    public var disconnectToo = "Disconnect all applications too"
    /// Password page.
    public var notTheSame = "The two new passwords are not the same."
    /// Password page.
    public var wrongCurrentPassword = "The current password is wrong."
    /// Password page.
    public var passwordTooShort = "The new password needs at least 8 characters."
    /// Password page.
    public var passwordTooCommon = "The new password is one that attackers try first. Choose another one."
    /// Account page.
    public var setUpCodes = "Set up one-time codes"
    /// Account page.
    public var manageCodes = "Manage one-time codes"
    /// Pages for one-time codes.
    public var scanCode = "Scan this with an authenticator app. From then on, signing in needs a code of the app too."
    /// Pages for one-time codes.
    public var qrLabel = "QR code with the key for the authenticator app"
    /// Pages for one-time codes.
    public var typeSecret = "Or type this key into the app:"
    /// Pages for one-time codes.
    public var turnOnCodes = "Turn on one-time codes"
    /// Pages for one-time codes.
    public var turnOffCodes = "Turn off one-time codes"
    /// Pages for one-time codes.
    public var newRecoveryCodes = "Create new recovery codes"
    /// Pages for one-time codes. `{0}`: a number.
    public var recoveryCodesLeft = "One-time codes are on. You have {0} unused recovery codes."
    /// Pages for one-time codes.
    public var recoveryTitle = "Your recovery codes"
    /// Pages for one-time codes.
    public var recoveryNote =
        "Each of these works once in place of a one-time code, if you lose your device. Keep them in a safe place. They are shown only now."
    /// Pages for one-time codes.
    public var savedCodes = "I have saved them"
    /// Several pages.
    public var backToAccount = "Back to your account"
    /// Account page.
    public var doneDisconnected = "The application is disconnected."
    /// Account page.
    public var donePassword = "Your password is changed, and your other browsers are signed out."
    /// Account page.
    public var doneCodes = "One-time codes are on."
    /// Account page.
    public var doneNoCodes = "One-time codes are off."
    /// Account page.
    public var doneSession = "That browser is signed out."
    /// Account page.
    public var justNow = "just now"
    /// Account page.
    public var minuteAgo = "a minute ago"
    /// Account page. `{0}`: a number.
    public var minutesAgo = "{0} minutes ago"
    /// Account page.
    public var hourAgo = "an hour ago"
    /// Account page. `{0}`: a number.
    public var hoursAgo = "{0} hours ago"
    /// Account page.
    public var yesterday = "yesterday"
    /// Account page. `{0}`: a number.
    public var daysAgo = "{0} days ago"
    /// Error page.
    public var tooLate = "This is no longer valid"
    /// Error page.
    public var adviceWait = "Nothing was shared. Wait a moment, then try again."
    /// Error page.
    public var adviceRegister = "Nothing was shared. Remove this server from the application and add it again."
    /// Error page.
    public var reason = "Reason"
    /// Error page.
    public var sent = "The application sent"
    /// Error page.
    public var registered = "It registered"
    public init() {}
}

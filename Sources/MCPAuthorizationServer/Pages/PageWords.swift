/// The texts of all pages, in English by default. Each comment names the pages of a text. `{0}` and `{1}` are
/// placeholders, which a translation must keep.
public struct PageWords: Sendable, Hashable {
    /// Sign-in page: title, heading and button. Signed-out page: button.
    public var signIn = "Sign in"
    /// Sign-in page, below the heading. `{0}`: the name of the application.
    public var toContinueTo = "to continue to {0}"
    /// Sign-in page and consent page: button that leads to an identity provider. `{0}`: its name.
    public var continueWith = "Continue with {0}"
    /// Sign-in page: text between the buttons of identity providers and the password form.
    public var orWithPassword = "or with a password"
    /// Consent page, before sign-in: label before the name of the identity provider.
    public var youSignInWith = "You sign in with"
    /// Consent page, before sign-in: button that returns to the ways to sign in.
    public var otherWay = "Sign in another way"
    /// Account page: heading of the accounts at identity providers.
    public var connectedAccounts = "Accounts to sign in with"
    /// Account page: button that connects an account of an identity provider. `{0}`: its name.
    public var connect = "Connect {0}"
    /// Account page: note for an account whose tokens the provider no longer accepts.
    public var connectAgain = "Has to be connected again."
    /// Account page: message after an account was connected.
    public var doneConnected = "The account is connected."
    /// Consent page: the permission to use an account at an identity provider. `{0}`: its name.
    public var useAccount = "Use your {0} account"
    /// Page for an account that a tool needs: the reason. `{0}`: the name of the identity provider.
    public var connectReason = "A tool that was called for you needs your account at {0}."
    /// Page for an account that a tool needs: label before the permissions at the provider. `{0}`: its name.
    public var connectPermissions = "Permissions at {0}"
    /// Page for an account that a tool needs: what happens with the access. `{0}`: the name of the provider.
    public var connectNote =
        "This server keeps the access to {0} and uses it for your calls only. The application never receives it. You can disconnect it at any time on your account page."
    /// Page for an account that a tool needs, opened by another user.
    public var connectOtherUser = "This link was made for another user. Sign out on your account page, then open the link again as that user."
    /// Page for an account that a tool needs, opened again with another account of the provider. `{0}`: its name.
    public var connectOtherAccount =
        "You have connected another {0} account. Sign in to {0} with that one, or disconnect it on your account page first."
    /// Page after an account that a tool needs was connected.
    public var connectReturn = "Return to the application. If it does not go on by itself, ask it to try again."
    /// Account page: message after an account was disconnected.
    public var doneUnlinked = "The account is disconnected."
    /// Error page after an identity provider, and sign-in page. `{0}`: the name of the provider.
    public var providerRefused = "{0} did not sign you in. Try again, or sign in another way."
    /// Error page: an account of an identity provider that may not enter. `{0}`: the name of the provider.
    public var accountNotAdmitted = "This {0} account may not be used here. Sign in with another account, or ask the operator for access."
    /// Error page: the identity provider does not answer. `{0}`: its name.
    public var providerUnavailable = "{0} does not answer at the moment. Your existing connections keep working. Try again in a minute."
    /// Error page: the server is not set up correctly at the identity provider. `{0}`: its name.
    public var providerMisconfigured = "Sign-in with {0} is not set up correctly. Tell the operator of this server; the log says what to change."
    /// Error page: the answer of an identity provider came to another browser, or too late. `{0}`: its name.
    public var otherBrowser =
        "This sign-in was begun in another browser or window, or cookies are off. If this page is inside another app, open the application in your browser and begin again."
    /// Sign-in page: label.
    public var userName = "User name"
    /// Label on the sign-in page, and on the pages that set up or manage one-time codes.
    public var password = "Password"
    /// Label on the one-time code page at sign-in, and on the pages that set up or manage one-time codes.
    public var oneTimeCode = "Six digits from your authenticator app"
    /// Sign-in page: error.
    public var wrongPassword = "The user name or the password is wrong."
    /// Error on the one-time code page at sign-in, and on the pages that set up or manage one-time codes.
    public var wrongOneTimeCode = "This code is wrong or was used before. Wait for the next one."
    /// Error on the sign-in, one-time code, password and device pages, and on the pages that set up or manage one-time
    /// codes. `{0}`: a number of seconds.
    public var tooManyAttempts = "Too many attempts. Wait {0} seconds, then try again."
    /// Sign-in page: error after a consent page or device page whose session has ended.
    public var signInAgain = "Sign in again to continue."
    /// Consent page: title of the browser window.
    public var allowTitle = "Allow access"
    /// Consent page: heading. `{0}`: the name of the application.
    public var allowQuestion = "Allow {0} to use your account?"
    /// Consent page: note for a client that registered itself.
    public var selfRegistered = "This application registered itself. Its name has not been verified."
    /// Consent page: note for a client with a metadata document. `{0}`: the host of the document.
    public var ownDomain = "This application is published at {0}. Its name has not been verified."
    /// Consent page: text in place of the list of permissions if the client requests none.
    public var onlyIdentity = "It will only learn who you are."
    /// Consent page: heading of the list of permissions.
    public var itWill = "It will be able to:"
    /// Consent page: button that leads to the choice of permissions.
    public var chooseLess = "Choose what to allow"
    /// Consent page: note below permissions that are ticked.
    public var untick = "Untick what you do not want to allow."
    /// Consent page: note below permissions that are not ticked.
    public var tick = "Tick what you want to allow."
    /// Permission of the scope `profile`, on the consent page and in the list of applications on the account page.
    public var seeProfile = "See your name and your user name"
    /// Permission of the scope `email`, on the consent page and in the list of applications on the account page.
    public var seeEmail = "See your e-mail address"
    /// Permission of the scope `openid`, on the consent page and in the list of applications on the account page.
    public var seeIdentity = "Recognize your account"
    /// Account page: text for an application without permissions.
    public var knowsWhoYouAre = "Know who you are"
    /// Consent page: mark behind a sensitive permission.
    public var cannotBeUndone = "cannot be undone"
    /// Marks a permission that the application did not have before.
    public var isNew = "new"
    /// Consent page: error if no permission is ticked.
    public var chooseOne = "Tick at least one permission, or cancel."
    /// Label before the name of the user, on the consent, account and device pages, and on the page that confirms
    /// signing out everywhere.
    public var signedInAs = "Signed in as"
    /// Consent page: label before the URL of the resource.
    public var atServer = "Server address"
    /// Consent page: label before the host of the redirect URI.
    public var thenYouReturnTo = "Then you return to"
    /// Consent page: warning if the redirect URI is on loopback.
    public var loopbackWarning = "This app runs on this computer. Continue only if you started it."
    /// Consent page: warning if the redirect URI has a private-use scheme. `{0}`: the scheme with its colon, such as
    /// `cursor:`.
    public var appWarning = "This opens an app on this device, the one that handles {0} links. Continue only if you started it there."
    /// Consent page: checkbox, for confidential clients only.
    public var remember = "Do not ask again for this application and these permissions"
    /// Consent page: button.
    public var allow = "Allow"
    /// Button on the consent page, and link on the page that confirms signing out everywhere.
    public var cancel = "Cancel"
    /// Link on the consent page and on the one-time code page at sign-in. `{0}`: the name of the user.
    public var useAnotherAccount = "Not {0}? Use another account"
    /// Account page: heading. Device result page: link to the account page.
    public var connectedApplications = "Connected applications"
    /// Account page: text in place of the list of applications.
    public var nothingConnected = "No application can use your account."
    /// Account page, for each application. `{0}`: a date, such as `2026-11-26`; `{1}`: how long ago, such as
    /// `yesterday`.
    public var connectedOn = "Connected {0}, last used {1}"
    /// Account page, for each application. `{0}`: its last operation, such as `tool search-tasks`.
    public var lastDid = "Last: {0}"
    /// Account page: button of an application.
    public var disconnect = "Disconnect"
    /// Account page: the same button for screen readers. `{0}`: the name of the application.
    public var disconnectThis = "Disconnect {0}"
    /// Account page: button, for this browser and for each other browser.
    public var signOut = "Sign out"
    /// Account page: link. Page that confirms signing out everywhere: title, heading and button.
    public var signOutEverywhere = "Sign out everywhere"
    /// Page that confirms signing out everywhere: warning.
    public var signOutEverywhereNote =
        "This signs you out in every browser and disconnects every application. You then have to connect each application again."
    /// Signed-out page: title and heading.
    public var signedOut = "Signed out"
    /// Signed-out page: link to the page of an identity provider. `{0}`: its name.
    public var signOutElsewhere = "Sign out at {0} too"
    /// Signed-out page: text after signing out of one browser.
    public var signedOutNote = "Connected applications stay connected."
    /// Signed-out page: text after signing out everywhere.
    public var everythingEnded = "You are signed out in every browser, and no application can use your account."
    /// Device pages: title. Device code page: heading.
    public var deviceTitle = "Connect a device"
    /// Device code page, below the heading.
    public var deviceExplanation = "Enter the code that the device shows."
    /// Device code page: label.
    public var deviceCode = "Code"
    /// Button on the device code page and on the one-time code page at sign-in.
    public var goOn = "Continue"
    /// Device code page: error for an unknown code.
    public var noSuchDevice = "No device is waiting with this code. Compare it with the one that the device shows."
    /// Consent page: warning if the client is on a device. `{0}`: the user code.
    public var deviceWarning =
        "Allow this only if the code {0} is shown on a device in front of you. If another person sent you the code, that person gets access to your account."
    /// Device result page: heading after approval.
    public var deviceAllowed = "Done"
    /// Device result page: text after approval. `{0}`: the name of the application.
    public var deviceAllowedNote = "{0} can now use your account. You can go back to the device."
    /// Device result page: heading after denial.
    public var deviceDenied = "Nothing was allowed"
    /// Device result page: text after denial. `{0}`: the name of the application.
    public var deviceDeniedNote = "{0} was not allowed to use your account. You can close this page."
    /// Error page: title of the browser window.
    public var errorTitle = "Something is wrong"
    /// Error page: the link to the account page.
    public var toYourAccount = "Your account and its applications"
    /// Error page: heading if the server failed or a rate limit was exceeded.
    public var notWorking = "This is not working at the moment"
    /// Error page: heading for `access_denied`.
    public var notAllowed = "Access was not allowed"
    /// Error page: heading for an unknown client.
    public var unknownApplication = "This application is not known here"
    /// Error page: heading for every other error.
    public var badRequest = "The application sent a wrong request"
    /// Error page: advice for most errors.
    public var nothingShared = "Nothing was shared. Close this page and start again from the application."
    /// Error page: label before the error code.
    public var forDevelopers = "Error code"
    /// Error page: link to the client. `{0}`: the host of the redirect URI.
    public var returnTo = "Return to {0}"
    /// Front page: heading. `{0}`: the name of the service.
    public var frontTitle = "{0} is an MCP server"
    /// Front page, before the URL of the MCP endpoint.
    public var frontExplanation = "AI applications connect to it, sign you in and use its tools for you. Give your application this address:"
    /// Front page: note for a server on loopback.
    public var frontLoopback = "This server runs on this computer. Applications on the web cannot reach it."
    /// Front page: link to the account page.
    public var frontAccount = "Sign in and see what is connected"
    /// Front page: heading of the list of applications.
    public var frontConnect = "Connect an application"
    /// Front page: link that opens an application. `{0}`: the name of the application.
    public var frontAddTo = "Open {0}"
    /// Front page: instruction for an application. `{0}`: the path through its menus.
    public var frontMenu = "{0}, then paste the address."
    /// Front page: title of the instructions for clients that support only stdio.
    public var frontOther = "Applications that support only stdio"
    /// Front page, before a command.
    public var frontCommand = "In a terminal:"
    /// Above a command that follows another one.
    public var frontNextCommand = "Then:"
    /// Front page, before a text for a configuration file. `{0}`: the path of the file.
    public var frontFile = "In the file {0}:"
    /// Page for unknown paths: title and heading.
    public var pageNotFound = "This page does not exist"
    /// Page for unknown paths: text.
    public var pageNotFoundNote = "The address may be mistyped, or the page was moved."
    /// Page for unknown paths: link.
    public var toFrontPage = "Go to the front page"

    /// Sign-in page: link to `SignInHelp.forgottenPasswordPage`.
    public var forgotPassword = "Forgot your password?"
    /// Sign-in page: link to `SignInHelp.contact`.
    public var contact = "Get help"
    /// One-time code page at sign-in: heading.
    public var oneTimeTitle = "Enter the code of your authenticator app"
    /// One-time code page at sign-in. `{0}`: the name of the user.
    public var signingInAs = "You are signing in as {0}."
    /// Title of a closed section on the one-time code page at sign-in, and on the page that manages one-time codes.
    public var useRecoveryCode = "Use a recovery code"
    /// Label in that section.
    public var recoveryCode = "Recovery code"
    /// One-time code page at sign-in: error.
    public var wrongRecoveryCode = "This recovery code is wrong or was used before."
    /// Consent page: label before `lastsUntil`.
    public var lasts = "Duration"
    /// Consent page. `{0}`: a number of days, from `grantLifetime`.
    public var lastsUntil = "Until you disconnect it, at most {0} days."
    /// Consent page: link to the account page.
    public var whereToEnd = "Your account"
    /// Device result page: label before the name of the application.
    public var application = "Application"
    /// Account page: title and heading.
    public var yourAccount = "Your account"
    /// Account page: heading of the list of sessions.
    public var browsers = "Signed-in browsers"
    /// Account page: name of a session without a known browser.
    public var unknownBrowser = "Unknown browser"
    /// Account page, for each session. `{0}`: how long ago, such as `an hour ago`.
    public var signedInSince = "Signed in {0}"
    /// Account page: mark of the current session.
    public var thisBrowser = "this browser"
    /// Account page: button of a session, for screen readers. `{0}`: the name of the browser.
    public var signOutThis = "Sign out {0}"
    /// Account page: heading above the links for password and one-time codes.
    public var security = "Security"
    /// Account page: link. Password page: title, heading and button.
    public var changePassword = "Change password"
    /// Password page: label.
    public var currentPassword = "Current password"
    /// Password page: label.
    public var newPassword = "New password"
    /// Password page: label.
    public var newPasswordAgain = "New password again"
    /// Password page: note below the fields.
    public var passwordNote = "At least 8 characters. This signs you out in your other browsers."
    /// Password page: checkbox, ticked in advance.
    public var disconnectToo = "Disconnect all applications too"
    /// Password page: error.
    public var notTheSame = "The two new passwords are not the same."
    /// Error on the password page, and on the pages that set up or manage one-time codes.
    public var wrongCurrentPassword = "The current password is wrong."
    /// Password page: error.
    public var passwordTooShort = "The new password needs at least 8 characters."
    /// Password page: error for a common password, one that is too long, or the user's own name.
    public var passwordTooCommon = "The new password is one that attackers try first. Choose another one."
    /// Account page: link. Page that sets up one-time codes: title and heading.
    public var setUpCodes = "Set up one-time codes"
    /// Account page: link. Page that manages one-time codes: title and heading.
    public var manageCodes = "Manage one-time codes"
    /// Page that sets up one-time codes, before the QR code.
    public var scanCode = "Scan this with an authenticator app. From then on, signing in needs a code of the app too."
    /// Page that sets up one-time codes: the QR code for screen readers.
    public var qrLabel = "QR code with the key for the authenticator app"
    /// Page that sets up one-time codes, before the secret.
    public var typeSecret = "Or type this key into the app:"
    /// Page that sets up one-time codes: button.
    public var turnOnCodes = "Turn on one-time codes"
    /// Page that manages one-time codes: button.
    public var turnOffCodes = "Turn off one-time codes"
    /// Page that manages one-time codes: button.
    public var newRecoveryCodes = "Create new recovery codes"
    /// Page that manages one-time codes. `{0}`: the number of unused recovery codes.
    public var recoveryCodesLeft = "One-time codes are on. You have {0} unused recovery codes."
    /// Page with new recovery codes: title and heading.
    public var recoveryTitle = "Your recovery codes"
    /// Page with new recovery codes: text before the codes.
    public var recoveryNote =
        "Each of these works once in place of a one-time code, if you lose your device. Keep them in a safe place. They are shown only now."
    /// Page with new recovery codes: link to the account page.
    public var savedCodes = "I have saved them"
    /// Link on the password page, and on the pages that set up or manage one-time codes.
    public var backToAccount = "Back to your account"
    /// Account page: message after disconnecting an application.
    public var doneDisconnected = "The application is disconnected."
    /// Account page: message after changing the password.
    public var donePassword = "Your password is changed, and your other browsers are signed out."
    /// Account page: message after setting up one-time codes, or creating new recovery codes.
    public var doneCodes = "One-time codes are on."
    /// Account page: message after turning off one-time codes.
    public var doneNoCodes = "One-time codes are off."
    /// Account page: message after signing out another browser.
    public var doneSession = "That browser is signed out."
    /// Account page: less than a minute ago.
    public var justNow = "just now"
    /// Account page: one minute ago.
    public var minuteAgo = "a minute ago"
    /// Account page. `{0}`: a number of minutes, 2 to 59.
    public var minutesAgo = "{0} minutes ago"
    /// Account page: one hour ago.
    public var hourAgo = "an hour ago"
    /// Account page. `{0}`: a number of hours, 2 to 23.
    public var hoursAgo = "{0} hours ago"
    /// Account page: one day ago.
    public var yesterday = "yesterday"
    /// Account page. `{0}`: a number of days, 2 or more.
    public var daysAgo = "{0} days ago"
    /// Error page: heading for a page or code that has expired.
    public var tooLate = "This is no longer valid"
    /// Error page: advice if the server failed or a rate limit was exceeded.
    public var adviceWait = "Nothing was shared. Wait a moment, then try again."
    /// Error page: advice for an unknown client.
    public var adviceRegister = "Nothing was shared. Remove this server from the application and add it again."
    /// Error page: label before the message of the error.
    public var reason = "Reason"
    /// Error page: label before a value of the request.
    public var sent = "The application sent"
    /// Error page: label before the registered value.
    public var registered = "It registered"
    /// The English texts.
    public init() {}
}

package mail

import (
	"regexp"
	"time"
)

// Event is what a [SecurityNotice] tells of. Its text is kept in the queue of
// mails, so it must not change.
type Event string

// The events that the owner of an account is told of (OWASP ASVS 5.0, 6.3.7).
const (
	PasswordChanged Event = "password_changed"
	// PasswordWasReset is a new password by way of a [PasswordReset] mail.
	PasswordWasReset Event = "password_reset"
	// EmailChangeRequested goes to the present address, before there is a change.
	EmailChangeRequested Event = "email_change_requested"
	// EmailChanged goes to the old address.
	EmailChanged    Event = "email_changed"
	SecondFactorOn  Event = "second_factor_on"
	SecondFactorOff Event = "second_factor_off"
	// CodesGuessed tells of wrong codes that came with the right password.
	CodesGuessed         Event = "codes_guessed"
	RecoveryCodeUsed     Event = "recovery_code_used"
	RecoveryCodesRenewed Event = "recovery_codes_renewed"
	AccountDeleted       Event = "account_deleted"
	// AccountRestored is a deletion that was undone by logging in.
	AccountRestored Event = "account_restored"
	// RefreshTokenReused is an old refresh token that came a second time and
	// ended its session (RFC 9700, section 4.14.2).
	RefreshTokenReused Event = "refresh_token_reused"
)

// notice is what a [SecurityNotice] says about an event.
type notice struct {
	// What happened.
	What string
	// Unless is what to do if it was not the owner.
	Unless string
	// Action is what the link is for.
	Action string
}

const (
	actionReset = "Choose a new password"
	// How a notice goes on where a new password helps.
	thenReset = "If this was not you, choose a new password at once: that ends all sessions on all devices."
)

var notices = map[Event]notice{
	PasswordChanged: {
		"The password of your PicASpot account was changed.", thenReset, actionReset,
	},
	PasswordWasReset: {
		"A new password was chosen for your PicASpot account, with a link that we had sent to this address.",
		"If this was not you, somebody else can read your mail: change the password of your mailbox first, then choose a new one here.", actionReset,
	},
	EmailChangeRequested: {
		"Another e-mail address was asked for your PicASpot account. We have sent a link there; until it is followed this address stays in use.",
		"If this was not you, choose a new password at once: that ends all sessions on all devices, and the link has no effect any more.", actionReset,
	},
	// A password reset for this address finds no account any more.
	EmailChanged: {
		"The e-mail address of your PicASpot account was changed. This one does not belong to it any more.",
		"If this was not you, log in with your user name, change your password and put your address back. If you cannot log in any more, ask whoever runs this server.", "Open PicASpot",
	},
	SecondFactorOn: {
		"The second factor of your PicASpot account was turned on: logging in needs a code of your authenticator app as well.", thenReset, actionReset,
	},
	SecondFactorOff: {
		"The second factor of your PicASpot account was turned off: your password is enough to log in.", thenReset, actionReset,
	},
	CodesGuessed: {
		"Wrong codes were entered for the second factor of your PicASpot account, again and again, and with your password. They did not work.",
		"If this was not you, somebody else knows your password: choose a new one at once, here and wherever else you use it. Where you have logged in before, and with a recovery code, you still get in.", actionReset,
	},
	RecoveryCodeUsed: {
		"A recovery code of your PicASpot account was used. It does not work again.", thenReset, actionReset,
	},
	RecoveryCodesRenewed: {
		"New recovery codes were made for your PicASpot account. The old ones do not work any more.", thenReset, actionReset,
	},
	// There is nothing left that a new password could protect.
	AccountDeleted: {
		"Your PicASpot account was deleted.",
		"If this was not you, somebody else knows your password: change it wherever else you use it, and ask whoever runs this server.", "Open PicASpot",
	},
	AccountRestored: {
		"Somebody logged in to your deleted PicASpot account, and so it is back as it was.", thenReset, actionReset,
	},
	RefreshTokenReused: {
		"A session of your PicASpot account was ended, because an old key of it was used again, as happens when somebody has copied it from your device. A fault of the app can be the cause as well.",
		"If you do not recognise the device, choose a new password at once: that ends all sessions on all devices.", actionReset,
	},
}

// HelpedByReset reports whether a new password by way of a mail to the same
// address is what to do about the event when it was not the owner.
func (e Event) HelpedByReset() bool { return notices[e].Action == actionReset }

// instant says when something happened, to the minute.
func instant(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

// dotBeforeName is where mail programs see the name of a host.
var dotBeforeName = regexp.MustCompile(`\.+(\pL)`)

// device makes what a client says of itself safe to show, as [oneLine] does. A
// name that would become a link is broken up: whoever triggers the notice
// chooses it.
func device(userAgent string) string {
	return dotBeforeName.ReplaceAllString(oneLine(userAgent, maxDevice), " $1")
}

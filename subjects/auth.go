package subjects

// AccountAuth holds the auth callout service and nothing else.
const AccountAuth = "AUTH"

// Subjects of the server itself that the auth callout service works with.
const (
	// CalloutRequest is where the server asks who a connection is.
	CalloutRequest = "$SYS.REQ.USER.AUTH"
	// FilterCalloutReplies matches the replies that the server expects to
	// [CalloutRequest].
	FilterCalloutReplies = "$SYS._INBOX.>"
	// RequestVoiceConnections asks every server for the connections (CONNZ) of
	// the account VOICE.
	RequestVoiceConnections = "$SYS.REQ.ACCOUNT." + AccountVoice + ".CONNZ"
	// FilterKick matches [RequestKick] of every server.
	FilterKick = "$SYS.REQ.SERVER.*.KICK"
)

// RequestKick asks the server with this id to close one of its connections.
func RequestKick(server string) string { return "$SYS.REQ.SERVER." + server + ".KICK" }

package subjects

// Longest tokens, in bytes.
const (
	MaxSelfID = 64
	MaxCID    = 128
	MaxCallID = 128
	MaxParty  = 64
)

// ValidSelfID reports whether s is an identity: [A-Za-z0-9_-]{1,64}.
func ValidSelfID(s string) bool { return valid(s, MaxSelfID, false) }

// ValidCID reports whether s is a conversation id: [A-Za-z0-9_-]{1,128}.
func ValidCID(s string) bool { return valid(s, MaxCID, false) }

// ValidCallID reports whether s is a call id: [A-Za-z0-9_.~-]{1,128}. A call id
// never becomes part of a subject.
func ValidCallID(s string) bool { return valid(s, MaxCallID, true) }

// ValidParty reports whether s names a device: [A-Za-z0-9_.~-]{1,64}. A party
// never becomes part of a subject.
func ValidParty(s string) bool { return valid(s, MaxParty, true) }

// ValidReason reports whether s can stand as the reason or type token of a
// subject: lower case letters and underscores, 1 to 32 of them.
func ValidReason(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}

func valid(s string, limit int, dotted bool) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		case dotted && (c == '.' || c == '~'):
		default:
			return false
		}
	}
	return true
}

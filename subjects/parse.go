package subjects

import "strings"

// ParseVoice splits voice.<selfid>.<type>. ok is false for any other subject;
// the type is not looked up, it is only a single non-empty token.
func ParseVoice(subject string) (self, typ string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "voice.")
	if !ok {
		return "", "", false
	}
	self, typ, ok = strings.Cut(rest, ".")
	if !ok || !ValidSelfID(self) || !token(typ) {
		return "", "", false
	}
	return self, typ, true
}

// ParseInbox splits voice.<selfid>.inbox.<type>.
func ParseInbox(subject string) (self, typ string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "voice.")
	if !ok {
		return "", "", false
	}
	self, rest, _ = strings.Cut(rest, ".")
	typ, ok = strings.CutPrefix(rest, "inbox.")
	if !ok || !ValidSelfID(self) || !token(typ) {
		return "", "", false
	}
	return self, typ, true
}

// ParseLive splits live.voice.<selfid>.inbox.<type>.
func ParseLive(subject string) (self, typ string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "live.")
	if !ok {
		return "", "", false
	}
	return ParseInbox(rest)
}

// ParseCall splits call.<key>.<kind>, where kind is "state", "timer", "timeout" or
// "check".
func ParseCall(subject string) (key, kind string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "call.")
	if !ok {
		return "", "", false
	}
	key, kind, ok = strings.Cut(rest, ".")
	if !ok || !ValidKey(key) {
		return "", "", false
	}
	switch kind {
	case "state", "timer", "timeout", "check":
		return key, kind, true
	default:
		return "", "", false
	}
}

// ValidKey reports whether key is that of a call record: a cid, or what
// [DirectKey] makes of one.
func ValidKey(key string) bool {
	cid, hash, direct := strings.Cut(key, "~")
	return ValidCID(cid) && (!direct || len(hash) == 16 && ValidSelfID(hash))
}

// ParseRejected splits rejected.<reason>.<selfid>.
func ParseRejected(subject string) (reason, self string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "rejected.")
	if !ok {
		return "", "", false
	}
	reason, self, ok = strings.Cut(rest, ".")
	if !ok || !ValidReason(reason) || !ValidSelfID(self) {
		return "", "", false
	}
	return reason, self, true
}

// ParseSync splits sync.<selfid>.
func ParseSync(subject string) (self string, ok bool) {
	self, ok = strings.CutPrefix(subject, "sync.")
	return self, ok && ValidSelfID(self)
}

// token reports whether s is one token of a subject without wildcards.
func token(s string) bool {
	return s != "" && !strings.ContainsAny(s, ".*> \t\r\n")
}

// ParseKVKey returns the key of a subject that [KVKey] made for this bucket.
func ParseKVKey(bucket, subject string) (key string, ok bool) {
	key, ok = strings.CutPrefix(subject, "$KV."+bucket+".")
	return key, ok && token(key)
}

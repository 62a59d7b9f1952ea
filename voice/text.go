package voice

import (
	"net/url"
	"strings"
)

// redact returns the URLs without user and password.
func redact(urls string) string {
	list := strings.Split(urls, ",")
	for i, s := range list {
		s = strings.TrimSpace(s)
		if u, err := url.Parse(s); err == nil && u.Host != "" {
			u.User = nil
			list[i] = u.String()
		} else if _, host, ok := strings.Cut(s, "@"); ok {
			list[i] = host
		}
	}
	return strings.Join(list, ",")
}

// quoted returns the texts between double quotes in s: the server names the
// subject of a permission violation so.
func quoted(s string) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(s, `"`)
		if !ok {
			return out
		}
		text, rest, ok := strings.Cut(rest, `"`)
		if !ok {
			return out
		}
		out, s = append(out, text), rest
	}
}

package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/voicerouter/voicerouter/identity"
)

// checkEnvironment reports what the reader of the variables found.
func checkEnvironment(_ context.Context, e *exam) {
	for _, err := range e.Mistakes {
		about := variableIn(err.Error())
		e.add(Wrong, about, err.Error(), "correct "+about+": \"router serve --help\" says what it may be")
	}
	for _, s := range e.Suspicions {
		e.add(Warn, s.Variable, s.Seen, s.Mend)
	}
	if len(e.Mistakes) == 0 {
		e.add(OK, "ROUTER_*", fmt.Sprintf("%d variables are set, all can be used", e.Variables), "")
	}
}

// variableIn returns the name with which a message about a variable begins.
func variableIn(message string) string {
	end := strings.IndexFunc(message, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') })
	if end <= 0 || !strings.HasPrefix(message, "ROUTER_") {
		return "ROUTER_*"
	}
	return message[:end]
}

// checkKeys looks at the key files of the proxies.
func checkKeys(_ context.Context, e *exam) {
	if e.KeyDir == "" {
		e.add(Skipped, "ROUTER_PROXY_KEYS", "not set: without proxy keys a worker routes direct conversations only", "")
		return
	}
	if len(e.Keys) == 0 {
		e.add(Warn, e.KeyDir, "there is no file SELFID.jwk: a worker routes direct conversations only",
			"make a proxy: \"router identity add PROXY --role app --generate --dir "+e.KeyDir+"\"")
	}
	for _, k := range e.Keys {
		switch {
		case errors.Is(k.Err, identity.ErrKeyFileMode):
			e.add(Wrong, k.Name, k.Err.Error(), "chmod 600 "+k.Name)
		case k.Err != nil:
			e.add(Wrong, k.Name, k.Err.Error(), "let the user that the worker runs as read "+k.Name+", or replace it with the key that \"router identity add --generate\" wrote, or remove it")
		default:
			e.add(OK, k.Name, fmt.Sprintf("the key %q of %s", k.Key.KID, k.ID), "")
		}
	}
}

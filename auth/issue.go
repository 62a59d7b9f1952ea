package auth

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// UserClaims returns what a user JWT for an identity says: its name and exactly
// its permissions, no limits of its own, no replies beyond what it may publish.
// subject is the public nkey ("U...") that the JWT is for; it expires at the
// given time, to the second, or never if that is zero.
func UserClaims(subject string, id identity.ID, role identity.Role, expires time.Time) (*jwt.UserClaims, error) {
	if id.IsZero() || role != identity.RoleUser && role != identity.RoleApp {
		return nil, fmt.Errorf("auth: no JWT for identity %q with role %.16q", id, role)
	}
	p := IdentityPermissions(id, role)
	claims := jwt.NewUserClaims(subject)
	if claims == nil {
		return nil, fmt.Errorf("auth: no JWT for identity %s: no nkey", id)
	}
	// The name becomes the connection's user: it is how monitoring shows the
	// connection, and how it is found when the identity is revoked.
	claims.Name = id.String()
	claims.Pub.Allow = p.Publish
	claims.Sub.Allow = p.Subscribe
	claims.AllowedConnectionTypes = jwt.StringList{
		jwt.ConnectionTypeStandard, jwt.ConnectionTypeWebsocket, jwt.ConnectionTypeInProcess,
	}
	if !expires.IsZero() {
		claims.Expires = expires.Unix()
	}
	return claims, nil
}

// ScopedUserClaims returns what a user JWT for an identity says that is signed
// with a scoped signing key of an account ("A..."): its name alone. The
// permissions stand in the template of the key ([ScopePermissions]), and the name
// is put in: only a valid identity can come in here. subject is the identity's
// public nkey; a zero time is no expiry.
func ScopedUserClaims(subject, account string, id identity.ID, expires time.Time) (*jwt.UserClaims, error) {
	claims := jwt.NewUserClaims(subject)
	if claims == nil || id.IsZero() || !nkeys.IsValidPublicAccountKey(account) {
		return nil, fmt.Errorf("auth: no JWT for identity %q: want an identity, its nkey, and an account (A...)", id)
	}
	claims.SetScoped(true)
	claims.Name = id.String()
	claims.IssuerAccount = account
	if !expires.IsZero() {
		claims.Expires = expires.Unix()
	}
	return claims, nil
}

// issue returns the user JWT of a connection.
func (s *Service) issue(r request, v verdict) (string, error) {
	claims, err := UserClaims(r.UserNkey, v.id, v.role, s.opts.Now().Add(spread(s.opts.TTL)))
	if err != nil {
		return "", err
	}
	claims.Audience = subjects.AccountVoice // where the server places the connection
	token, err := claims.Encode(s.opts.Keys.issuer)
	if err != nil {
		return "", fmt.Errorf("auth: sign the user JWT of %s: %w", v.id, err)
	}
	return token, nil
}

// spread shortens d by up to a tenth: connections that came back together after
// a restart must not expire together.
func spread(d time.Duration) time.Duration {
	if tenth := int64(d / 10); tenth > 0 {
		d -= time.Duration(rand.Int64N(tenth))
	}
	return d
}

package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Of the callout protocol between server and service.
const (
	serverKeyHeader = "Nats-Server-Xkey"
	requestAudience = "nats-authorization-request"
)

// clockSkew is how far the clocks of server and service may be apart. A request
// lives 2 s by default.
const clockSkew = 5 * time.Second

// errLate is returned for a request that the server has given up on.
var errLate = errors.New("request has expired")

// request is what a server asks about one connection.
type request struct {
	*jwt.AuthorizationRequestClaims
	serverKey string // public curve key of the server: answers are sealed for it
}

// open decrypts a request and checks that a server made it for this service.
// What is not encrypted is refused: whoever can publish in the account could
// otherwise make up requests.
func (k Keys) open(serverKey string, data []byte, now time.Time) (request, error) {
	if serverKey == "" {
		return request{}, errors.New("request is not encrypted")
	}
	token, err := k.xkey.Open(data, serverKey)
	if err != nil {
		return request{}, errors.New("request is not encrypted for this service")
	}
	// Verifies the signature by the server's key, which the JWT names itself.
	claims, err := jwt.DecodeAuthorizationRequestClaims(string(token))
	if err != nil {
		return request{}, fmt.Errorf("request is no JWT of a server: %w", err)
	}
	switch {
	case claims.Expires < now.Add(-clockSkew).Unix():
		return request{}, errLate
	case !nkeys.IsValidPublicUserKey(claims.UserNkey):
		return request{}, errors.New("request names no user key to issue for")
	case claims.Audience != requestAudience:
		return request{}, errors.New("request is for another audience")
	case claims.Subject != k.Issuer():
		return request{}, errors.New("request is for another issuer")
	case claims.Server.ID != claims.Issuer:
		return request{}, errors.New("request is signed by another server than it names")
	case claims.Server.XKey != serverKey:
		return request{}, errors.New("request names another curve key than it is sealed with")
	}
	return request{claims, serverKey}, nil
}

// seal signs and encrypts an answer: a user JWT, or an error, which the server
// logs and never shows to the client.
func (k Keys) seal(r request, userJWT, refusal string) ([]byte, error) {
	answer := jwt.NewAuthorizationResponseClaims(r.UserNkey)
	answer.Audience = r.Server.ID
	answer.Jwt = userJWT
	answer.Error = refusal
	token, err := answer.Encode(k.issuer)
	if err != nil {
		return nil, fmt.Errorf("auth: sign the answer: %w", err)
	}
	sealed, err := k.xkey.Seal([]byte(token), r.serverKey)
	if err != nil {
		return nil, fmt.Errorf("auth: seal the answer: %w", err)
	}
	return sealed, nil
}

package broker

import (
	"errors"
	"fmt"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// Operator are the keys of a broker in operator mode: of the operator, of the
// three accounts, and the signing keys of the account VOICE, one for each role.
type Operator struct {
	Operator, System, Router, Voice nkeys.KeyPair
	// User and App sign the user JWTs of identities; permissions come from their
	// scopes.
	User, App nkeys.KeyPair
}

// operatorConf is the part of the configuration that names operator and accounts.
type operatorConf struct {
	JWT, System string
	Accounts    []accountJWT
}

type accountJWT struct{ Name, Key, JWT string }

// RenderOperator is [Config.Render] for operator mode: operator and accounts
// are JWTs, held in memory by the server, and no user stands in it. Of c the
// users, the identities and the callout must be left out.
func (c Config) RenderOperator(o Operator) ([]byte, error) {
	if !c.Router.IsZero() || !c.Callout.IsZero() || len(c.Identities) > 0 || c.Insecure {
		return nil, errors.New("broker: operator mode has no users, identities or callout in the configuration")
	}
	probe := c
	probe.Router = Credential{User: UserRouter, Password: UserRouter} // the only thing that Validate would miss
	if err := probe.Validate(); err != nil {
		return nil, err
	}
	conf, err := o.encode()
	if err != nil {
		return nil, fmt.Errorf("broker: operator mode: %w", err)
	}
	return c.withDefaults().execute(conf)
}

func (o Operator) encode() (*operatorConf, error) {
	keys := map[string]nkeys.KeyPair{
		"operator": o.Operator, subjects.AccountSystem: o.System, subjects.AccountRouter: o.Router,
		subjects.AccountVoice: o.Voice, "user": o.User, "app": o.App,
	}
	public := map[string]string{}
	for name, pair := range keys {
		if pair == nil {
			return nil, fmt.Errorf("no key %s", name)
		}
		key, err := pair.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", name, err)
		}
		public[name] = key
	}
	operator := jwt.NewOperatorClaims(public["operator"])
	operator.Name = "voice"
	operator.SystemAccount = public[subjects.AccountSystem]
	token, err := operator.Encode(o.Operator)
	if err != nil {
		return nil, err
	}
	conf := &operatorConf{JWT: token, System: public[subjects.AccountSystem]}
	for _, claims := range []*jwt.AccountClaims{
		namedAccount(subjects.AccountSystem, public), routerAccount(public), voiceAccount(public),
	} {
		results := jwt.CreateValidationResults()
		claims.Validate(results)
		if results.IsBlocking(true) {
			return nil, fmt.Errorf("account %s: %w", claims.Name, results.Errors()[0])
		}
		token, err := claims.Encode(o.Operator)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", claims.Name, err)
		}
		conf.Accounts = append(conf.Accounts, accountJWT{claims.Name, claims.Subject, token})
	}
	return conf, nil
}

func namedAccount(name string, public map[string]string) *jwt.AccountClaims {
	claims := jwt.NewAccountClaims(public[name])
	claims.Name = name
	return claims
}

// routerAccount holds the streams and exports what crosses.
func routerAccount(public map[string]string) *jwt.AccountClaims {
	claims := namedAccount(subjects.AccountRouter, public)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit, MaxAckPending: jwt.NoLimit,
	}
	for _, c := range crossings() {
		e := &jwt.Export{Name: c.Subject, Subject: jwt.Subject(c.Subject), Type: exportType(c)}
		if c.Stream {
			e.ResponseType = jwt.ResponseTypeStream
		}
		claims.Exports.Add(e)
	}
	return claims
}

// voiceAccount imports what crosses. Its users are signed with one of two keys,
// whose scopes hold the permissions.
func voiceAccount(public map[string]string) *jwt.AccountClaims {
	claims := namedAccount(subjects.AccountVoice, public)
	for _, c := range crossings() {
		claims.Imports.Add(&jwt.Import{
			Name: c.Subject, Subject: jwt.Subject(c.Subject), Account: public[subjects.AccountRouter], Type: exportType(c),
		})
	}
	for _, role := range []identity.Role{identity.RoleUser, identity.RoleApp} {
		p := auth.ScopePermissions(role)
		scope := jwt.NewUserScope()
		scope.Key, scope.Role = public[string(role)], string(role)
		scope.Template.Pub.Allow, scope.Template.Sub.Allow = p.Publish, p.Subscribe
		scope.Template.AllowedConnectionTypes = jwt.StringList{
			jwt.ConnectionTypeStandard, jwt.ConnectionTypeWebsocket, jwt.ConnectionTypeInProcess,
		}
		claims.SigningKeys.AddScopedSigner(scope)
	}
	return claims
}

func exportType(c crossing) jwt.ExportType {
	if c.Kind == "stream" {
		return jwt.Stream
	}
	return jwt.Service
}

// UserJWT returns the JWT of one of the users outside the account VOICE (see
// UserRouter) for the public nkey subject, without expiry.
func (o Operator) UserJWT(name, subject string) (string, error) {
	for _, r := range (Config{}).roles() {
		if r.Name != name || r.Account == subjects.AccountAuth {
			continue
		}
		claims := jwt.NewUserClaims(subject)
		if claims == nil {
			return "", fmt.Errorf("broker: no nkey for the user %s", name)
		}
		claims.Name = name
		if r.Permissions != nil {
			claims.Pub.Allow, claims.Sub.Allow = r.Permissions.Publish, r.Permissions.Subscribe
		}
		issuer := o.Router
		if r.Account == subjects.AccountSystem {
			issuer = o.System
		}
		token, err := claims.Encode(issuer)
		if err != nil {
			return "", fmt.Errorf("broker: JWT of the user %s: %w", name, err)
		}
		return token, nil
	}
	return "", fmt.Errorf("broker: no user %q in operator mode", name)
}

package broker

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/voicerouter/voicerouter/subjects"
)

//go:embed server.conf.tmpl
var serverConf string

var confTemplate = template.Must(template.New("server.conf").Funcs(template.FuncMap{
	"quote": strconv.Quote,
	"list":  quoteList,
}).Parse(serverConf))

// authTimeout is how long a client may wait to be let in. With the server's default
// of 2 s whoever queues for the auth callout service, when all clients come back at
// once or none runs, would be told that it is unauthorized, and client libraries
// give up when they are told so twice. Before 5 s are over they begin anew by
// themselves.
const authTimeout = 5 * time.Second

// user is one entry of a list of users in the configuration.
type user struct {
	Comment     string
	Credential  Credential
	Permissions *Permissions
}

type account struct {
	Name      string
	JetStream bool
	Users     []user
	Exports   []crossing
	Imports   []imported
}

// imported is a crossing seen from the account that imports it.
type imported struct {
	crossing
	From string
}

// Render returns the text of a complete nats-server configuration. It contains
// the passwords of c, if there are any: keep it in a file of mode 0600.
func (c Config) Render() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.withDefaults().execute(nil)
}

func (c Config) withDefaults() Config {
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.Port == 0 {
		c.Port = 4222
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = 1 << 20
	}
	c.Cluster = c.Cluster.withDefaults(c.Host)
	if c.WebSocket.TLS.CertFile == "" && !c.WebSocket.NoTLS {
		c.WebSocket.TLS = c.TLS
	}
	return c
}

// execute fills in the template: with accounts and users, or with those of an
// operator.
func (c Config) execute(operator *operatorConf) ([]byte, error) {
	var out bytes.Buffer
	err := confTemplate.Execute(&out, struct {
		Config
		Operator                   *operatorConf
		Accounts                   []account
		System, Voice, AuthAccount string
		Anyone                     string
		AuthUsers                  []string
		AuthTimeout                time.Duration
	}{c, operator, c.accounts(), subjects.AccountSystem, subjects.AccountVoice, subjects.AccountAuth, userAnyone, c.authUsers(), authTimeout})
	if err != nil {
		return nil, fmt.Errorf("broker: write configuration: %w", err)
	}
	return out.Bytes(), nil
}

// authUsers names the users whom the server does not ask the callout about.
func (c Config) authUsers() []string {
	users := []string{c.Auth.NKey}
	if c.Auth.NKey == "" {
		users[0] = c.Auth.User
	}
	if c.Insecure {
		users = append(users, userAnyone)
	}
	return users
}

func (c Config) accounts() []account {
	system := account{Name: subjects.AccountSystem}
	router := account{Name: subjects.AccountRouter, JetStream: true, Exports: crossings()}
	voice := account{Name: subjects.AccountVoice, Imports: from(router.Name, crossings())}
	service := account{Name: subjects.AccountAuth}
	if !c.Callout.IsZero() {
		system.Exports = only(service.Name, systemCrossings())
		router.Exports = append(router.Exports, only(service.Name, routerCrossings()[1:])...)
		service.Imports = append(from(router.Name, routerCrossings()), from(system.Name, systemCrossings())...)
	}
	for _, r := range c.roles() {
		if r.Credential.IsZero() {
			continue
		}
		u := user{r.Name, r.Credential, r.Permissions}
		switch r.Account {
		case system.Name:
			system.Users = append(system.Users, u)
		case service.Name:
			service.Users = append(service.Users, u)
		default:
			router.Users = append(router.Users, u)
		}
	}
	for _, e := range c.Identities {
		p := IdentityPermissions(e.ID, e.Role)
		voice.Users = append(voice.Users, user{string(e.Role) + " " + e.ID.String(), Credential{NKey: e.NKey}, &p})
	}
	if c.Insecure {
		p := anyonePermissions()
		voice.Users = append(voice.Users, user{"whoever has no credential", Credential{User: userAnyone, Password: userAnyone}, &p})
	}
	if c.Callout.IsZero() {
		return []account{system, router, voice}
	}
	return []account{system, router, voice, service}
}

func only(account string, list []crossing) []crossing {
	for i := range list {
		list[i].Only = account
	}
	return list
}

func from(account string, list []crossing) []imported {
	imports := make([]imported, len(list))
	for i, c := range list {
		imports[i] = imported{c, account}
	}
	return imports
}

func quoteList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

package broker

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"text/template"

	"github.com/voicerouter/voicerouter/subjects"
)

//go:embed server.conf.tmpl
var serverConf string

var confTemplate = template.Must(template.New("server.conf").Funcs(template.FuncMap{
	"quote": strconv.Quote,
	"list":  quoteList,
}).Parse(serverConf))

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
	Imports   []crossing
}

// Render returns the text of a complete nats-server configuration. It contains
// the passwords of c, if there are any: keep it in a file of mode 0600.
func (c Config) Render() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.Port == 0 {
		c.Port = 4222
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = 1 << 20
	}
	var out bytes.Buffer
	err := confTemplate.Execute(&out, struct {
		Config
		Accounts []account
		System   string
		Exporter string
	}{c, c.accounts(), subjects.AccountSystem, subjects.AccountRouter})
	if err != nil {
		return nil, fmt.Errorf("broker: write configuration: %w", err)
	}
	return out.Bytes(), nil
}

func (c Config) accounts() []account {
	system := account{Name: subjects.AccountSystem}
	router := account{Name: subjects.AccountRouter, JetStream: true, Exports: crossings()}
	voice := account{Name: subjects.AccountVoice, Imports: crossings()}
	for _, r := range c.roles() {
		if r.Credential.IsZero() {
			continue
		}
		u := user{r.Name, r.Credential, r.Permissions}
		if r.Account == system.Name {
			system.Users = append(system.Users, u)
		} else {
			router.Users = append(router.Users, u)
		}
	}
	for _, e := range c.Identities {
		p := IdentityPermissions(e.ID, e.Role)
		voice.Users = append(voice.Users, user{string(e.Role) + " " + e.ID.String(), Credential{NKey: e.NKey}, &p})
	}
	return []account{system, router, voice}
}

func quoteList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

package chart

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	chartv2lint "helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
)

// TestLint has Helm find nothing to complain about.
func TestLint(t *testing.T) {
	t.Parallel()
	for name, values := range ciValues(t) {
		linter := chartv2lint.RunAll(chartDir, values, "voice")
		for _, m := range linter.Messages {
			if m.Severity >= support.WarningSev {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

// TestSchemaRefuses gives values that are wrong in one way each.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	c := load(t)
	for name, tc := range map[string]struct{ values, want string }{
		"HPA and KEDA together":     {`{autoscaling: {hpa: {enabled: true}, keda: {enabled: true}}}`, "/autoscaling"},
		"both monitors":             {`{monitoring: {podMonitor: {enabled: true}, serviceMonitor: {enabled: true}}}`, "/monitoring"},
		"a floor of one":            {`{autoscaling: {minReplicas: 1}}`, "/autoscaling/minReplicas"},
		"a ceiling of one":          {`{autoscaling: {maxReplicas: 1}}`, "/autoscaling/maxReplicas"},
		"no workers":                {`{workers: {replicas: 0}}`, "/workers/replicas"},
		"an unknown value":          {`{wrokers: {replicas: 3}}`, "wrokers"},
		"an unknown value below":    {`{config: {ringTimeot: 30s}}`, "ringTimeot"},
		"a password in the URL":     {`{nats: {url: "nats://me:secret@nats:4222"}}`, "/nats/url"},
		"no URL":                    {`{nats: {url: ""}}`, "/nats/url"},
		"a port in place of URL":    {`{nats: {url: "nats:4222"}}`, "/nats/url"},
		"a bare number of seconds":  {`{config: {ringTimeout: "30"}}`, "/config/ringTimeout"},
		"a number, not a duration":  {`{config: {ringTimeout: 30}}`, "/config/ringTimeout"},
		"six replicas":              {`{config: {streamReplicas: 6}}`, "/config/streamReplicas"},
		"a level that is none":      {`{config: {logLevel: verbose}}`, "/config/logLevel"},
		"a setting by extraEnv":     {`{extraEnv: [{name: ROUTER_LOG_LEVEL, value: debug}]}`, "/extraEnv/0"},
		"a variable without value":  {`{extraEnv: [{name: FOO}]}`, "/extraEnv/0"},
		"root":                      {`{podSecurity: {runAsUser: 0}}`, "/podSecurity/runAsUser"},
		"a privileged port":         {`{httpPort: 80}`, "/httpPort"},
		"a password without a user": {`{credentials: {worker: {type: password}}}`, "/credentials/worker/user"},
		"a user without a password": {`{credentials: {worker: {user: me}}}`, "/credentials/worker/user"},
		"a credential of no kind":   {`{credentials: {admin: {type: token}}}`, "/credentials/admin/type"},
		"no Secret":                 {`{credentials: {auth: {secretName: ""}}}`, "/credentials/auth/secretName"},
		"a path for a key":          {`{credentials: {auth: {key: ../auth.nk}}}`, "/credentials/auth/key"},
		"CA from two places":        {`{nats: {tls: {ca: {secretName: a, configMapName: b}}}}`, "/nats/tls/ca"},
		"a digest that is none":     {`{image: {digest: latest}}`, "/image/digest"},
		"a proxy with a space":      {`{helmTest: {proxy: "a b"}}`, "/helmTest/proxy"},
		"a request of nothing":      {`{workers: {resources: {request: {cpu: 1}}}}`, "request"},
		"no ports of NATS":          {`{networkPolicy: {natsPorts: []}}`, "/networkPolicy/natsPorts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := install{values: valuesOf(t, tc.values)}.render(c)
			if err == nil {
				t.Fatalf("%s: want it refused", tc.values)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: want the error to name %s, got %v", tc.values, tc.want, err)
			}
		})
	}
}

// TestSchemaIsClosed wants every value in the schema, every property of the schema
// in the values, and no object that lets anything in, where its members are known.
func TestSchemaIsClosed(t *testing.T) {
	t.Parallel()
	var schema map[string]any
	if err := json.Unmarshal(read(t, filepath.Join(chartDir, "values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	s := closed{t, schema["definitions"].(map[string]any)}
	properties := schema["properties"].(map[string]any)
	delete(properties, "global")
	s.compare("", schema, valuesOf(t, string(read(t, filepath.Join(chartDir, "values.yaml")))))
}

type closed struct {
	t           *testing.T
	definitions map[string]any
}

func (c closed) compare(path string, schema, values map[string]any) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = c.definitions[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any)
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		if schema["additionalProperties"] == nil {
			c.t.Errorf("%s: the schema says nothing about its members", path)
		}
		return // a map: its keys are the user's
	}
	if schema["additionalProperties"] != false {
		c.t.Errorf("%s: want additionalProperties false", path)
	}
	optional := map[string]bool{"resources.claims": true, "affinity": true}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if _, ok := values[name]; !ok && !optional[last(path)+"."+name] && !optional[last(path)] {
			c.t.Errorf("%s.%s: in the schema, not in values.yaml", path, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		property, ok := properties[name].(map[string]any)
		if !ok {
			c.t.Errorf("%s.%s: in values.yaml, not in the schema", path, name)
			continue
		}
		if below, ok := values[name].(map[string]any); ok {
			c.compare(path+"."+name, property, below)
		}
	}
}

func last(path string) string { return path[strings.LastIndex(path, ".")+1:] }

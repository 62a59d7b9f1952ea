package chart

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
)

// inCluster answers lookup with these Secrets of the namespace voice.
type inCluster struct{ client dynamic.Interface }

func (c inCluster) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	if apiVersion != "v1" || kind != "Secret" {
		return nil, false, errors.New("the chart may ask for Secrets only")
	}
	return c.client.Resource(corev1.SchemeGroupVersion.WithResource("secrets")), true, nil
}

func clusterWith(have map[string]string) inCluster {
	var objects []runtime.Object
	for name, keys := range have {
		s := &corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "voice"}, Data: map[string][]byte{},
		}
		for key := range strings.FieldsSeq(keys) {
			s.Data[key] = []byte("not looked at")
		}
		objects = append(objects, s)
	}
	return inCluster{fake.NewSimpleDynamicClient(scheme.Scheme, objects...)}
}

// TestMissingSecrets installs into clusters where something has not been created:
// the chart says what, all at once, before anything is installed.
func TestMissingSecrets(t *testing.T) {
	t.Parallel()
	const keys = "router.nk auth.nk admin.nk callout-issuer.nk callout-xkey.nk"
	for name, tc := range map[string]struct {
		have   map[string]string
		values string
		want   []string // none: it installs
	}{
		"everything is there": {map[string]string{"voice-router-keys": keys, "voice-router-proxies": "proxy.jwk"}, "{}", nil},
		"nothing is there": {nil, "{}", []string{
			"Secret voice-router-keys does not exist in namespace voice, with the key router.nk (credentials.worker",
			"key auth.nk (credentials.auth", "key callout-issuer.nk", "key callout-xkey.nk", "key admin.nk (credentials.admin",
			"Secret voice-router-proxies does not exist in namespace voice, with the key that ends in .jwk",
		}},
		"a key is missing": {
			map[string]string{"voice-router-keys": strings.ReplaceAll(keys, "admin.nk", ""), "voice-router-proxies": "proxy.jwk"}, "{}",
			[]string{"Secret voice-router-keys in namespace voice has no key admin.nk"},
		},
		"no proxy": {
			map[string]string{"voice-router-keys": keys, "voice-router-proxies": "proxy.nk"}, "{}",
			[]string{"Secret voice-router-proxies in namespace voice has no key that ends in .jwk (proxies"},
		},
		"what is off needs no key": {
			map[string]string{"voice-router-keys": "router.nk"}, `{auth: {enabled: false}, provision: {enabled: false}, proxies: {secretName: ""}}`, nil,
		},
		"certificates": {
			map[string]string{"voice-router-keys": keys, "voice-router-proxies": "proxy.jwk", "ca": "tls.crt", "client": "tls.crt"},
			`{nats: {tls: {ca: {secretName: ca}, client: {secretName: client}}}}`,
			[]string{"Secret ca in namespace voice has no key ca.crt", "Secret client in namespace voice has no key tls.key"},
		},
		"not asked": {nil, "{checkSecrets: false}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := install{values: valuesOf(t, tc.values), cluster: clusterWith(tc.have)}.render(load(t))
			if len(tc.want) == 0 {
				if err != nil {
					t.Errorf("want it installed, got %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("want it refused")
			}
			if !strings.Contains(err.Error(), "The chart cannot be installed yet") {
				t.Errorf("want the refusal to be ours, got %v", err)
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("want %q, got %v", part, err)
				}
			}
			if got := strings.Count(err.Error(), "\n  - "); name != "nothing is there" && got != len(tc.want) {
				t.Errorf("want %d things missing, got %d: %v", len(tc.want), got, err)
			}
		})
	}
}

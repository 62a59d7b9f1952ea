package chart

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

var (
	root     = filepath.Join("..", "..")
	chartDir = filepath.Join(root, "charts", "router")
)

// install is what a user does with the chart.
type install struct {
	release, namespace string
	values             map[string]any
	cluster            engine.ClientProvider // what lookup sees; nil: no cluster
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return text
}

func load(t testing.TB) *chartv2.Chart {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatalf("load the chart: %v", err)
	}
	return c
}

// valuesOf parses values in YAML.
func valuesOf(t testing.TB, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
		t.Fatalf("values: %v\n%s", err, text)
	}
	return values
}

// ciValues are the values files of the chart, by name.
func ciValues(t testing.TB) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartDir, "ci", "*-values.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("values files: want at least minimal, production and no-monitoring, got %q, %v", files, err)
	}
	all := map[string]map[string]any{}
	for _, file := range files {
		all[filepath.Base(file)] = valuesOf(t, string(read(t, file)))
	}
	return all
}

// render returns the text of every template that is not empty.
func (i install) render(c *chartv2.Chart) (map[string]string, error) {
	if i.release == "" {
		i.release = "voice-router"
	}
	if i.namespace == "" {
		i.namespace = "voice"
	}
	values, err := util.ToRenderValues(c, i.values, common.ReleaseOptions{
		Name: i.release, Namespace: i.namespace, Revision: 1, IsInstall: true,
	}, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	if i.cluster != nil {
		return engine.RenderWithClientProvider(c, values, i.cluster)
	}
	return engine.Render(c, values)
}

// object is one document of a template.
type object struct {
	template string
	text     []byte
	*unstructured.Unstructured
}

func (o object) String() string {
	return fmt.Sprintf("%s: %s %s", o.template, o.GetKind(), o.GetName())
}

// objects renders and reads every document.
func (i install) objects(t testing.TB, c *chartv2.Chart) []object {
	t.Helper()
	templates, err := i.render(c)
	if err != nil {
		t.Fatalf("render: %v", err)
	}
	var all []object
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		if strings.HasSuffix(name, ".tpl") || strings.HasSuffix(name, "NOTES.txt") {
			continue
		}
		all = append(all, documents(t, name, templates[name])...)
	}
	return all
}

func documents(t testing.TB, name, text string) []object {
	t.Helper()
	var all []object
	reader := utilyaml.NewYAMLReader(bufioReader(text))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		fields := map[string]any{}
		if err := yaml.UnmarshalStrict(document, &fields); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if len(fields) == 0 {
			continue
		}
		json, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(json); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, document)
		}
		all = append(all, object{name, bytes.TrimSpace(document), u})
	}
}

func bufioReader(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text)) }

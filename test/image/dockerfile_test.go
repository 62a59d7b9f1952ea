package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDockerfileIsTheSame wants the Dockerfile to build what .ko.yaml builds, on the
// same base, with the Go version of the module.
func TestDockerfileIsTheSame(t *testing.T) {
	t.Parallel()
	text := func(name string) string {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	find := func(text, pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("nothing like %q", pattern)
		}
		return m[1]
	}
	docker, ko, module := text("Dockerfile"), text(".ko.yaml"), text("go.mod")
	for what, pair := range map[string][2]string{
		"base image": {find(docker, `\nFROM (gcr\.io\S+)\n`), find(ko, `(?m)^defaultBaseImage: (\S+)$`)},
		"Go":         {find(docker, `FROM --platform=\$BUILDPLATFORM golang:(\S+) AS`), find(module, `\ngo (\d+\.\d+)`)},
		"linker flags": {
			strings.NewReplacer("$VERSION", "V", "$REVISION", "R").Replace(find(docker, `-ldflags "([^"]+)"`)),
			strings.NewReplacer("\n      - ", " ", "{{.Env.VERSION}}", "V", "{{.Env.REVISION}}", "R").Replace(find(ko, `ldflags:\n      - ((?s:.+\}\}))\n`)),
		},
		"flags": {find(docker, `go build (-\S+ -\S+) \\`), strings.ReplaceAll(find(ko, `flags:\n      - (-trimpath\n      - \S+)`), "\n      - ", " ")},
		"CGO":   {find(docker, `(CGO_ENABLED=\d)`), find(ko, `(CGO_ENABLED=\d)`)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: the Dockerfile has %q, want %q", what, pair[0], pair[1])
		}
	}
	for _, want := range []string{"USER 65532:65532", `ENTRYPOINT ["/usr/local/bin/router"]`} {
		if !strings.Contains(docker, "\n"+want+"\n") {
			t.Errorf("the Dockerfile has no %q", want)
		}
	}
}

// TestDockerignore wants every directory that the binary is made of let in.
func TestDockerignore(t *testing.T) {
	t.Parallel()
	ignore, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range packages(t) {
		dir, _, _ := strings.Cut(pkg, "/")
		if !strings.Contains(string(ignore), "\n!"+dir+"\n") {
			t.Errorf(".dockerignore keeps out %s, which the binary is made of", dir)
		}
	}
}

// packages lists the packages of this repository that the binary is made of,
// relative to its root.
func packages(t *testing.T) []string {
	t.Helper()
	const module = "github.com/voicerouter/voicerouter/"
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/router")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		if pkg, ours := strings.CutPrefix(strings.TrimSpace(line), module); ours {
			all = append(all, pkg)
		}
	}
	if len(all) < 8 {
		t.Fatalf("packages of the binary: got %q", all)
	}
	return all
}

package image

import (
	"archive/tar"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/ko/pkg/build"
	"github.com/google/ko/pkg/commands/options"
	"github.com/sigstore/cosign/v3/pkg/oci"
)

var root = filepath.Join("..", "..")

const (
	testVersion  = "v1.2.3-test"
	testRevision = "0123456789abcdef0123456789abcdef01234567"
)

// nothing is an empty base image with the settings of distroless:nonroot.
func nothing(context.Context, string) (name.Reference, build.Result, error) {
	file, err := empty.Image.ConfigFile()
	if err != nil {
		return nil, nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	file.Config = v1.Config{User: "65532", Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"}}
	base, err := mutate.ConfigFile(empty.Image, file)
	return name.MustParseReference("gcr.io/distroless/static-debian13:nonroot"), base, err
}

// koBuild builds the image of the tree in dir as "ko build ./cmd/router" does.
func koBuild(t *testing.T, dir string) oci.SignedImage {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	opts := options.BuildOptions{WorkingDirectory: dir}
	if err := opts.LoadConfig(); err != nil {
		t.Fatalf(".ko.yaml: %v", err)
	}
	if opts.BaseImage == "" || len(opts.BuildConfigs) != 1 {
		t.Fatalf(".ko.yaml: want a base image and one build, got %q and %v", opts.BaseImage, opts.BuildConfigs)
	}
	builder, err := build.NewGobuilds(t.Context(), dir, opts.BuildConfigs,
		build.WithConfig(opts.BuildConfigs), build.WithBaseImages(nothing), build.WithPlatforms("linux/"+runtime.GOARCH), build.WithJobs(1),
		build.WithDefaultEnv(opts.DefaultEnv), build.WithDefaultFlags(opts.DefaultFlags), build.WithDefaultLdflags(opts.DefaultLdflags),
		build.WithTrimpath(true), build.WithSPDX("test"))
	if err != nil {
		t.Fatalf("ko: %v", err)
	}
	path, err := builder.QualifyImport("./cmd/router")
	if err == nil {
		err = builder.IsSupportedReference(path)
	}
	if err != nil {
		t.Fatalf("ko: ./cmd/router: %v", err)
	}
	result, err := builder.Build(t.Context(), path)
	if err != nil {
		t.Fatalf("ko build: %v", err)
	}
	image, ok := result.(oci.SignedImage)
	if !ok {
		t.Fatalf("ko build: want one image, got %T", result)
	}
	return image
}

// TestKoBuild builds the image, pushes it to a registry in this process, pulls it
// as a node of a cluster does, and looks at what came.
func TestKoBuild(t *testing.T) {
	t.Setenv("VERSION", testVersion)
	t.Setenv("REVISION", testRevision)
	built := koBuild(t, root)

	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	tag, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/voicerouter/router:test")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, built, remote.WithContext(t.Context())); err != nil {
		t.Fatalf("push: %v", err)
	}
	image, err := remote.Image(tag, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatalf("pull: %v", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Config; !slices.Equal(got.Entrypoint, []string{"/ko-app/router"}) || got.User != "65532" {
		t.Errorf("want entrypoint /ko-app/router as user 65532, got %q as %q", got.Entrypoint, got.User)
	}
	if !slices.ContainsFunc(config.Config.Env, func(e string) bool { return strings.HasPrefix(e, "PATH=") && strings.Contains(e, "/ko-app") }) {
		t.Errorf("want the binary on the path, got %q", config.Config.Env)
	}
	checkBinary(t, extract(t, image, "/ko-app/router"))
	checkSBOM(t, built)
}

// extract writes a file of the image to disk.
func extract(t *testing.T, image v1.Image, path string) string {
	t.Helper()
	content := mutate.Extract(image)
	defer content.Close()
	for files := tar.NewReader(content); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("the image has no %s", path)
		}
		if err != nil {
			t.Fatal(err)
		}
		if "/"+strings.TrimPrefix(header.Name, "/") != path {
			continue
		}
		if header.FileInfo().Mode().Perm()&0o022 != 0 {
			t.Errorf("%s: want it writable by nobody else, got %v", path, header.FileInfo().Mode())
		}
		file := filepath.Join(t.TempDir(), filepath.Base(path))
		out, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(out, files)
		if err = errors.Join(err, out.Close()); err != nil {
			t.Fatal(err)
		}
		return file
	}
}

// checkBinary wants it static, reproducible and stamped.
func checkBinary(t *testing.T, file string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), file, "version", "--json").Output()
	if err != nil {
		t.Fatalf("router version: %v", err)
	}
	var got struct{ Version, Revision string }
	if err := json.Unmarshal(out, &got); err != nil || got.Version != testVersion || got.Revision != testRevision {
		t.Errorf("router version: want %s of %s, got %s, %v", testVersion, testRevision, out, err)
	}
	binary, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	if libraries, err := binary.ImportedLibraries(); err != nil || len(libraries) > 0 || binary.Section(".interp") != nil {
		t.Errorf("want it static, got libraries %q, %v", libraries, err)
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	for key, want := range map[string]string{"-trimpath": "true", "CGO_ENABLED": "0", "vcs.revision": ""} {
		if settings[key] != want {
			t.Errorf("built with %s=%q, want %q", key, settings[key], want)
		}
	}
	for _, key := range []string{"github.com/nats-io/nats.go", "github.com/prometheus/client_golang"} {
		if !slices.ContainsFunc(info.Deps, func(m *debug.Module) bool { return m.Path == key }) {
			t.Errorf("want the module %s recorded in the binary", key)
		}
	}
}

// checkSBOM wants a list of what the image is made of.
func checkSBOM(t *testing.T, image oci.SignedImage) {
	t.Helper()
	attached, err := image.Attachment("sbom")
	if err != nil {
		t.Fatalf("SBOM: %v", err)
	}
	text, err := attached.Payload()
	if err != nil {
		t.Fatalf("SBOM: %v", err)
	}
	var document struct {
		SPDXVersion string `json:"spdxVersion"`
		Packages    []struct {
			Name string `json:"name"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(text, &document); err != nil || !strings.HasPrefix(document.SPDXVersion, "SPDX-2") {
		t.Fatalf("SBOM: want SPDX 2, got %.200s, %v", text, err)
	}
	names := map[string]bool{}
	for _, p := range document.Packages {
		names[p.Name] = true
	}
	if !names["github.com/nats-io/nats.go"] || len(names) < 15 {
		t.Errorf("SBOM: want the modules of the binary, got %v", names)
	}
}

// TestReproducible builds from two directories and wants the same image, to the
// byte.
func TestReproducible(t *testing.T) {
	t.Setenv("VERSION", testVersion)
	t.Setenv("REVISION", testRevision)
	copied := t.TempDir()
	for _, part := range []string{"go.mod", "go.sum", ".ko.yaml", "auth", "call", "cmd", "identity", "internal", "router", "signal", "subjects", "voice"} {
		copyTree(t, filepath.Join(root, part), filepath.Join(copied, part))
	}
	first, err := koBuild(t, root).Digest()
	if err != nil {
		t.Fatal(err)
	}
	second, err := koBuild(t, copied).Digest()
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("want one image from two directories, got %s and %s", first, second)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

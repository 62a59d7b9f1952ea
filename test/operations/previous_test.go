package operations

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// beforeTags is what stands for the release before until there is a tag: the last
// commit whose workers knew nothing of versions in timers.
const beforeTags = "1a6e181"

// previousRouter builds the router of the release before this tree: of the newest
// tag that is not this very commit.
func previousRouter(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	revision := beforeTags
	if tag, err := output(root, "git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^"); err == nil {
		revision = tag
	}
	commit, err := output(root, "git", "rev-parse", "--verify", "--quiet", revision+"^{commit}")
	if err != nil {
		t.Skipf("revision %s, the release before, is not in the history of this tree: run in a clone with its whole history (git fetch --unshallow --tags)", revision)
	}
	t.Logf("the release before: %s (%s)", revision, commit)
	dir := t.TempDir()
	if _, err := output(root, "sh", "-c", `git archive --format=tar "$0" | tar -x -C "$1"`, commit, dir); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "router-before")
	if _, err := output(dir, "go", "build", "-o", binary, "./cmd/router"); err != nil {
		t.Fatal(err)
	}
	return binary
}

func output(dir, name string, args ...string) (string, error) {
	var out, problems bytes.Buffer
	c := exec.Command(name, args...)
	c.Dir, c.Stdout, c.Stderr = dir, &out, &problems
	c.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	if err := c.Run(); err != nil {
		return "", &commandError{c.String(), problems.String(), err}
	}
	return strings.TrimSpace(out.String()), nil
}

type commandError struct {
	command, output string
	err             error
}

func (e *commandError) Error() string { return e.command + ": " + e.err.Error() + "\n" + e.output }
func (e *commandError) Unwrap() error { return e.err }

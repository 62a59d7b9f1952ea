package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Binaries are the programs that a cluster runs.
type Binaries struct {
	Router string // path of cmd/router
	Server string // path of nats-server
}

// Build compiles the router of this module, and nats-server in the version that
// this module requires, into dir. It has to run inside the module.
func Build(ctx context.Context, dir string) (Binaries, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return Binaries{}, fmt.Errorf("cluster: directory of binaries: %w", err)
	}
	b := Binaries{Router: filepath.Join(dir, "router"), Server: filepath.Join(dir, "nats-server")}
	for binary, path := range map[string]string{
		b.Router: "github.com/voicerouter/voicerouter/cmd/router",
		b.Server: "github.com/nats-io/nats-server/v2",
	} {
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, path).CombinedOutput(); err != nil {
			return Binaries{}, fmt.Errorf("cluster: go build %s: %w\n%s", path, err, out)
		}
	}
	return b, nil
}

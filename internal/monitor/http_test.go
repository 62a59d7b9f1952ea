package monitor

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asker sends requests to the handler of a process.
func asker(t *testing.T, p *Process, profile bool) func(method, path string) *httptest.ResponseRecorder {
	t.Helper()
	h := p.handler(profile)
	return func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w
	}
}

func TestReadyzSaysWhyNot(t *testing.T) {
	t.Parallel()
	ready := errors.Join(errors.New("consumer not seen"), errors.New("callout not connected"))
	p := New("serve", Build{}, func() error { return ready })
	ask := asker(t, p, false)
	for _, c := range []struct {
		err    error
		status int
		want   Readiness
	}{
		{ready, http.StatusServiceUnavailable, Readiness{Reasons: []string{"consumer not seen", "callout not connected"}}},
		{errors.New("starting"), http.StatusServiceUnavailable, Readiness{Reasons: []string{"starting"}}},
		{nil, http.StatusOK, Readiness{Ready: true}},
	} {
		ready = c.err
		w := ask(http.MethodGet, "/readyz")
		var got Readiness
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Errorf("%v: answer is no JSON: %s", c.err, w.Body)
		}
		if diff := cmp.Diff(c.want, got); w.Code != c.status || diff != "" {
			t.Errorf("%v: want %d, got %d (-want +got):\n%s", c.err, c.status, w.Code, diff)
		}
		if typ := w.Header().Get("Content-Type"); typ != "application/json" {
			t.Errorf("%v: content type %q, want JSON", c.err, typ)
		}
	}
}

// TestNoOtherSurface: four paths, read only, unless profiles are asked for.
func TestNoOtherSurface(t *testing.T) {
	t.Parallel()
	p := New("serve", Build{Version: "v1.2.3", Go: "go1"}, func() error { return nil })
	ask := asker(t, p, false)
	for path, part := range map[string]string{
		"/metrics": `voicerouter_ready{command="serve"} 1`, "/livez": "ok", "/readyz": `{"ready":true}`, "/version": `"version":"v1.2.3"`,
	} {
		if w := ask(http.MethodGet, path); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), part) {
			t.Errorf("GET %s: want 200 with %q, got %d %s", path, part, w.Code, w.Body)
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
			if w := ask(method, path); w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: want 405, got %d", method, path, w.Code)
			}
		}
	}
	others := []string{"/", "/metrics/", "/livez/x", "/healthz", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/index.html"}
	for _, path := range others {
		if w := ask(http.MethodGet, path); w.Code != http.StatusNotFound {
			t.Errorf("GET %s: want 404, got %d", path, w.Code)
		}
	}
	ask = asker(t, p, true)
	if w := ask(http.MethodGet, "/debug/pprof/heap?debug=1"); w.Code != http.StatusOK {
		t.Errorf("profiles asked for: want 200, got %d", w.Code)
	}
}

func TestServe(t *testing.T) {
	p := New("serve", Build{}, func() error { return nil })
	s, err := p.Serve(Options{Addr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for name, limit := range map[string]time.Duration{
		"read header": s.http.ReadHeaderTimeout, "read": s.http.ReadTimeout, "write": s.http.WriteTimeout, "idle": s.http.IdleTimeout,
	} {
		if limit <= 0 || limit > time.Minute {
			t.Errorf("%s timeout is %v, want one of at most a minute", name, limit)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(body), "# EOF\n") {
		t.Errorf("want OpenMetrics for who asks for it, got %s", response.Header.Get("Content-Type"))
	}
	if _, err := p.Serve(Options{Addr: s.Addr(), Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("second server on the same address: want an error")
	}
	s.Stop()
}

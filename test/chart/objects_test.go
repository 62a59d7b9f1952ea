package chart

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// TestRestricted holds every pod against the restricted Pod Security Standard, and
// against what an attacker in it would look for.
func TestRestricted(t *testing.T) {
	t.Parallel()
	for _, w := range workloads(t, everything) {
		pod, c := w.spec, w.spec.Containers[0]
		for what, ok := range map[string]bool{
			"no token":                  pod.AutomountServiceAccountToken != nil && !*pod.AutomountServiceAccountToken,
			"no service links":          pod.EnableServiceLinks != nil && !*pod.EnableServiceLinks,
			"non-root":                  *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser > 0 && *pod.SecurityContext.RunAsGroup > 0,
			"seccomp":                   pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
			"read-only root filesystem": *c.SecurityContext.ReadOnlyRootFilesystem,
			"no privilege escalation":   !*c.SecurityContext.AllowPrivilegeEscalation,
			"no capabilities":           len(c.SecurityContext.Capabilities.Drop) == 1 && c.SecurityContext.Capabilities.Drop[0] == "ALL" && len(c.SecurityContext.Capabilities.Add) == 0,
			"a memory limit":            !c.Resources.Limits.Memory().IsZero(),
			"nothing of the host":       !pod.HostNetwork && !pod.HostPID && !pod.HostIPC,
		} {
			if !ok {
				t.Errorf("%s: want %s", w.kind, what)
			}
		}
		for _, v := range pod.Volumes {
			switch {
			case v.Secret == nil:
				t.Errorf("%s: volume %s: want Secrets only", w.kind, v.Name)
			case *v.Secret.DefaultMode != 0o440:
				t.Errorf("%s: volume %s: want mode 0440, which the binary demands of secrets, got %04o", w.kind, v.Name, *v.Secret.DefaultMode)
			}
		}
		for _, m := range c.VolumeMounts {
			if !m.ReadOnly || m.SubPath != "" {
				t.Errorf("%s: mount %s: want it read-only, and not by subPath, which never changes", w.kind, m.Name)
			}
		}
	}
}

// TestKeysAreMountedWhereNeeded wants each pod to see its own keys only.
func TestKeysAreMountedWhereNeeded(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"Deployment voice-router-worker": "router.nk voice-router-proxies",
		"Deployment voice-router-auth":   "auth.nk callout-issuer.nk callout-xkey.nk",
		"Job voice-router-provision":     "admin.nk voice-router-proxies",
		"Pod voice-router-test":          "admin.nk",
	}
	for _, w := range workloads(t, "{}") {
		var got []string
		for _, v := range w.spec.Volumes {
			for _, item := range v.Secret.Items {
				got = append(got, item.Key)
			}
			if len(v.Secret.Items) == 0 {
				got = append(got, v.Secret.SecretName)
			}
		}
		if got := strings.Join(got, " "); got != want[w.kind] {
			t.Errorf("%s: want %q mounted, got %q", w.kind, want[w.kind], got)
		}
	}
}

// world is everything that the chart makes, by what it is for.
type world struct {
	pods      map[string]corev1.PodTemplateSpec // of Deployments, by name
	selectors map[string]*metav1.LabelSelector  // of what selects pods, by kind and name
	services  []*corev1.Service
}

func worldOf(t testing.TB, objects []object) world {
	t.Helper()
	w := world{map[string]corev1.PodTemplateSpec{}, map[string]*metav1.LabelSelector{}, nil}
	for _, o := range typed(t, objects) {
		switch o := o.(type) {
		case *appsv1.Deployment:
			w.pods[o.Name] = o.Spec.Template
			w.selectors["Deployment "+o.Name] = o.Spec.Selector
		case *corev1.Service:
			w.services = append(w.services, o)
			w.selectors["Service "+o.Name] = &metav1.LabelSelector{MatchLabels: o.Spec.Selector}
		case *policyv1.PodDisruptionBudget:
			w.selectors["PodDisruptionBudget "+o.Name] = o.Spec.Selector
		case *networkingv1.NetworkPolicy:
			w.selectors["NetworkPolicy "+o.Name] = &o.Spec.PodSelector
		}
	}
	for _, o := range objects {
		if kind := o.GetKind(); kind == "PodMonitor" || kind == "ServiceMonitor" {
			fields, _, _ := unstructured.NestedMap(o.Object, "spec", "selector")
			text, err := yaml.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			var selector metav1.LabelSelector
			if err := yaml.UnmarshalStrict(text, &selector); err != nil {
				t.Fatal(err)
			}
			w.selectors[kind+" "+o.GetName()] = &selector
		}
	}
	return w
}

// TestSelectors wants everything that selects pods to select those that it is for.
func TestSelectors(t *testing.T) {
	t.Parallel()
	values := ciValues(t)["production-values.yaml"]
	w := worldOf(t, install{values: values}.objects(t, load(t)))
	want := map[string]string{
		"Deployment voice-router-worker": "worker", "Deployment voice-router-auth": "auth",
		"Service voice-router-worker": "worker", "Service voice-router-auth": "auth",
		"PodDisruptionBudget voice-router-worker": "worker", "PodDisruptionBudget voice-router-auth": "auth",
		"NetworkPolicy voice-router": "worker auth", "PodMonitor voice-router": "worker auth",
	}
	for what, components := range want {
		selector, err := metav1.LabelSelectorAsSelector(w.selectors[what])
		if err != nil || selector.Empty() || w.selectors[what] == nil {
			t.Errorf("%s: want a selector, got %v, %v", what, selector, err)
			continue
		}
		for name, pod := range w.pods {
			component := strings.TrimPrefix(name, "voice-router-")
			if got := selector.Matches(labels.Set(pod.Labels)); got != strings.Contains(" "+components+" ", " "+component+" ") {
				t.Errorf("%s: selects %s: %v", what, name, got)
			}
		}
	}
	for name, pod := range w.pods {
		for _, c := range pod.Spec.TopologySpreadConstraints {
			if selector, err := metav1.LabelSelectorAsSelector(c.LabelSelector); err != nil || !selector.Matches(labels.Set(pod.Labels)) {
				t.Errorf("%s: spread by a selector that does not select its pods: %v, %v", name, selector, err)
			}
		}
	}
}

// TestPorts follows the port from the process to whoever asks it.
func TestPorts(t *testing.T) {
	t.Parallel()
	values := valuesOf(t, `{httpPort: 8081, monitoring: {serviceMonitor: {enabled: true}}}`)
	objects := install{values: values}.objects(t, load(t))
	w := worldOf(t, objects)
	for name, pod := range w.pods {
		c := pod.Spec.Containers[0]
		address := ""
		for _, variable := range c.Env {
			if variable.Name == "ROUTER_HTTP_ADDR" {
				address = variable.Value
			}
		}
		if address != ":8081" || len(c.Ports) != 1 || c.Ports[0].Name != "http" || c.Ports[0].ContainerPort != 8081 {
			t.Errorf("%s: want port http at 8081, got %v, listening on %s", name, c.Ports, address)
		}
		if c.LivenessProbe.HTTPGet.Path != "/livez" || c.ReadinessProbe.HTTPGet.Path != "/readyz" ||
			c.LivenessProbe.HTTPGet.Port.StrVal != "http" || c.ReadinessProbe.HTTPGet.Port.StrVal != "http" {
			t.Errorf("%s: want probes of /livez and /readyz at http, got %v and %v", name, c.LivenessProbe, c.ReadinessProbe)
		}
	}
	for _, s := range w.services {
		if p := s.Spec.Ports[0]; p.Name != "http" || p.Port != 8081 || p.TargetPort.StrVal != "http" {
			t.Errorf("Service %s: want port http at 8081, got %v", s.Name, p)
		}
	}
	for _, o := range objects {
		if o.GetKind() == "ServiceMonitor" {
			endpoints, _, _ := unstructured.NestedSlice(o.Object, "spec", "endpoints")
			if e := endpoints[0].(map[string]any); e["port"] != "http" || e["path"] != "/metrics" {
				t.Errorf("ServiceMonitor: want /metrics at http, got %v", e)
			}
		}
	}
}

// TestScalersOwnTheReplicas wants no replicas in the Deployment of what is scaled:
// an upgrade would undo the scaler's work.
func TestScalersOwnTheReplicas(t *testing.T) {
	t.Parallel()
	for values, scaler := range map[string]string{
		"{}": "", `{autoscaling: {hpa: {enabled: true}}}`: "HorizontalPodAutoscaler", `{autoscaling: {keda: {enabled: true}}}`: "ScaledObject",
	} {
		found := ""
		for _, o := range (install{values: valuesOf(t, values)}).objects(t, load(t)) {
			target, _, _ := unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "name")
			if target != "" {
				found = o.GetKind()
				if target != "voice-router-worker" {
					t.Errorf("%s: want the workers scaled, got %s", o, target)
				}
			}
			if o.GetName() == "voice-router-worker" && o.GetKind() == "Deployment" {
				if _, set, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); set != (scaler == "") {
					t.Errorf("%s: replicas in the Deployment: %v", values, set)
				}
			}
		}
		if found != scaler {
			t.Errorf("%s: want %q, got %q", values, scaler, found)
		}
	}
}

// TestHostileReleaseNames installs under names that YAML takes for something else,
// or that are too long or of the wrong form for the names of Services.
func TestHostileReleaseNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 53)
	for _, release := range []string{"true", "null", "1e3", "0x10", "007", "12", "1.5", "a.b.c", "y", "no", "2026-11-24", long} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			objects := install{release: release, namespace: "1e3", values: ciValues(t)["production-values.yaml"]}.objects(t, load(t))
			w := worldOf(t, objects)
			if len(w.pods) != 2 {
				t.Fatalf("want two Deployments, got %d", len(w.pods))
			}
			names := map[string]bool{}
			for _, o := range objects {
				key := o.GetKind() + " " + o.GetName()
				if names[key] {
					t.Errorf("two of %s", key)
				}
				names[key] = true
				if errs := validation.IsDNS1035Label(o.GetName()); len(errs) > 0 {
					t.Errorf("%s: %v", o, errs)
				}
				if o.GetNamespace() != "1e3" {
					t.Errorf("%s: want namespace 1e3, got %s", o, o.GetNamespace())
				}
				for key, value := range o.GetLabels() {
					if errs := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(errs) > 0 {
						t.Errorf("%s: label %s=%s: %v", o, key, value, errs)
					}
				}
				if got := o.GetLabels()["app.kubernetes.io/instance"]; got != release {
					t.Errorf("%s: want instance %s, got %s", o, release, got)
				}
			}
		})
	}
}

// TestMonitoringFiles wants rules and dashboard to arrive as they are in the files.
func TestMonitoringFiles(t *testing.T) {
	t.Parallel()
	values := valuesOf(t, `{monitoring: {labels: {release: x}, prometheusRule: {enabled: true}, dashboard: {enabled: true, annotations: {grafana_folder: Voice}}}}`)
	seen := 0
	for _, o := range (install{values: values}).objects(t, load(t)) {
		switch o.GetKind() {
		case "PrometheusRule":
			var file map[string]any
			if err := yaml.Unmarshal(read(t, chartDir+"/files/alerts.yaml"), &file); err != nil {
				t.Fatal(err)
			}
			spec, _, _ := unstructured.NestedMap(o.Object, "spec")
			want, _ := yaml.Marshal(file)
			if got, _ := yaml.Marshal(spec); string(got) != string(want) {
				t.Errorf("PrometheusRule: want the rules of the file, got\n%s", got)
			}
			if o.GetLabels()["release"] != "x" {
				t.Errorf("PrometheusRule: want monitoring.labels, got %v", o.GetLabels())
			}
			seen++
		case "ConfigMap":
			data, _, _ := unstructured.NestedStringMap(o.Object, "data")
			want := strings.TrimRight(string(read(t, chartDir+"/files/dashboard.json")), "\n")
			if got := data["voice-router.json"]; got != want {
				t.Errorf("dashboard: want the file, got\n%.300s", got)
			}
			if o.GetLabels()["grafana_dashboard"] != "1" || o.GetAnnotations()["grafana_folder"] != "Voice" {
				t.Errorf("dashboard: want the sidecar's labels and annotations, got %v %v", o.GetLabels(), o.GetAnnotations())
			}
			seen++
		}
	}
	if seen != 2 {
		t.Errorf("want rules and dashboard, got %d of them", seen)
	}
}

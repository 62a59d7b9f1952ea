package chart

import (
	"path/filepath"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// definition is a custom resource as an API server knows it.
type definition struct {
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
}

// definitions reads the custom resource definitions in testdata/crds.
func definitions(t testing.TB) map[schema.GroupVersionKind]definition {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "crds", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("definitions: %q, %v", files, err)
	}
	all := map[schema.GroupVersionKind]definition{}
	for _, file := range files {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(read(t, file), &crd); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, version := range crd.Spec.Versions {
			gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
			all[gvk] = define(t, file, version.Schema.OpenAPIV3Schema)
		}
	}
	return all
}

func define(t testing.TB, file string, props *apiextensionsv1.JSONSchemaProps) definition {
	t.Helper()
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, &internal, nil); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	structural, err := structuralschema.NewStructural(&internal)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	validator, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return definition{structural, validator}
}

// check reads a custom resource as an API server does that refuses unknown
// fields.
func (d definition) check(t testing.TB, o object) {
	t.Helper()
	fields := runtime.DeepCopyJSON(o.Object)
	delete(fields, "metadata") // not of the definition's
	unknown := pruning.PruneWithOptions(fields, d.structural, false, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		if path != "apiVersion" && path != "kind" {
			t.Errorf("%s: unknown field %s", o, path)
		}
	}
	for _, err := range validation.ValidateCustomResource(nil, o.Object, d.validator) {
		t.Errorf("%s: %v", o, err)
	}
}

// typed decodes every object strictly: a field that its type does not have fails
// the test. It returns those that are Kubernetes' own.
func typed(t testing.TB, objects []object) []runtime.Object {
	t.Helper()
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	crds := definitions(t)
	var all []runtime.Object
	for _, o := range objects {
		if d, ok := crds[o.GroupVersionKind()]; ok {
			d.check(t, o)
			continue
		}
		decoded, _, err := decoder.Decode(o.text, nil, nil)
		if err != nil {
			t.Errorf("%s: %v\n%s", o, err, o.text)
			continue
		}
		all = append(all, decoded)
	}
	return all
}

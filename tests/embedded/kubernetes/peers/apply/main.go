// Applies and updates objects by upstream's own rules of server-side apply, to compare with ours.
//
// Reads a line of JSON for each case: a schema, and steps. A step is an update or an apply of an object by a manager.
// Writes for each case a line of JSON: for each step the object with its managed fields, or the error.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

var kind = schema.GroupVersionKind{Group: "example.test", Version: "v1", Kind: "Thing"}

type step struct {
	Operation string         `json:"operation"`
	Manager   string         `json:"manager"`
	Force     bool           `json:"force"`
	Object    map[string]any `json:"object"`
}

type given struct {
	Schema map[string]any `json:"schema"`
	Steps  []step         `json:"steps"`
}

type result struct {
	Object map[string]any `json:"object,omitempty"`
	Error  string         `json:"error,omitempty"`
}

type same struct{}

func (same) Convert(in, out, context any) error { return nil }
func (same) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}
func (same) ConvertFieldLabel(_ schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}
func (same) Default(runtime.Object) {}
func (same) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	object.SetGroupVersionKind(kind)
	return object, nil
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(os.Stdout)
	for decoder.More() {
		var each given
		if err := decoder.Decode(&each); err != nil {
			log.Fatal(err)
		}
		if err := encoder.Encode(play(each)); err != nil {
			log.Fatal(err)
		}
	}
}

func play(given given) []result {
	given.Schema["x-kubernetes-group-version-kind"] = []any{map[string]any{"group": kind.Group, "version": kind.Version, "kind": kind.Kind}}
	properties := given.Schema["properties"].(map[string]any)
	text := map[string]any{"type": "string"}
	properties["apiVersion"], properties["kind"] = text, text
	texts := map[string]any{"type": "object", "additionalProperties": text}
	properties["metadata"] = map[string]any{"type": "object", "properties": map[string]any{
		"name": text, "labels": texts, "annotations": texts,
		"managedFields": map[string]any{"type": "array", "items": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
	}}
	raw, _ := json.Marshal(given.Schema)
	own := &spec.Schema{}
	if err := json.Unmarshal(raw, own); err != nil {
		log.Fatal(err)
	}
	converter, err := managedfields.NewTypeConverter(map[string]*spec.Schema{"Thing": own}, false)
	if err != nil {
		log.Fatal(err)
	}
	manager, err := managedfields.NewDefaultCRDFieldManager(converter, same{}, same{}, same{}, kind, kind.GroupVersion(), "", nil)
	if err != nil {
		log.Fatal(err)
	}
	live, _ := same{}.New(kind)
	var results []result
	for _, step := range given.Steps {
		object := &unstructured.Unstructured{Object: step.Object}
		object.SetGroupVersionKind(kind)
		object.SetName("x")
		var after runtime.Object
		var err error
		if step.Operation == "apply" {
			after, err = manager.Apply(live.DeepCopyObject(), object, step.Manager, step.Force)
		} else {
			object.SetManagedFields(live.(*unstructured.Unstructured).GetManagedFields())
			after, err = manager.Update(live.DeepCopyObject(), object, step.Manager)
		}
		if err != nil {
			results = append(results, result{Error: err.Error()})
			continue
		}
		if after != nil {
			live = after
			withoutNulls(live.(*unstructured.Unstructured).Object)
		}
		results = append(results, result{Object: live.(*unstructured.Unstructured).DeepCopy().Object})
	}
	return results
}

// As the API server stores objects: a merge may leave a null where it has removed all fields.
func withoutNulls(object map[string]any) {
	for name, value := range object {
		switch value := value.(type) {
		case nil:
			delete(object, name)
		case map[string]any:
			withoutNulls(value)
		case []any:
			for _, item := range value {
				if item, ok := item.(map[string]any); ok {
					withoutNulls(item)
				}
			}
		}
	}
}

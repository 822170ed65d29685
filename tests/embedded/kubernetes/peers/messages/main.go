// Writes the field numbers of Kubernetes' protobuf messages, as the struct tags of k8s.io/api have them, in the form
// that `embedded/kubernetes/protobuf` reads:
//
//	go run ./messages > ../../../../src/lockgate/embedded/kubernetes/protobuf/messages.txt
//	go run ./messages samples > ../../../cases/embedded/kubernetes/protobuf.tsv
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sort"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

var served = []schema.GroupVersion{
	{Version: "v1"},
	{Group: "admissionregistration.k8s.io", Version: "v1"},
	{Group: "apiextensions.k8s.io", Version: "v1"},
	{Group: "apiregistration.k8s.io", Version: "v1"},
	{Group: "apps", Version: "v1"},
	{Group: "authentication.k8s.io", Version: "v1"},
	{Group: "authorization.k8s.io", Version: "v1"},
	{Group: "autoscaling", Version: "v1"},
	{Group: "autoscaling", Version: "v2"},
	{Group: "batch", Version: "v1"},
	{Group: "certificates.k8s.io", Version: "v1"},
	{Group: "coordination.k8s.io", Version: "v1"},
	{Group: "discovery.k8s.io", Version: "v1"},
	{Group: "events.k8s.io", Version: "v1"},
	{Group: "networking.k8s.io", Version: "v1"},
	{Group: "node.k8s.io", Version: "v1"},
	{Group: "policy", Version: "v1"},
	{Group: "rbac.authorization.k8s.io", Version: "v1"},
	{Group: "scheduling.k8s.io", Version: "v1"},
	{Group: "storage.k8s.io", Version: "v1"},
}

// Types whose JSON is not that of their fields. The reader knows them by name.
var special = map[string]bool{
	"meta/v1.Time": true, "meta/v1.MicroTime": true, "meta/v1.FieldsV1": true,
	"intstr.IntOrString": true, "resource.Quantity": true, "runtime.RawExtension": true,
	"apiextensions/v1.JSON": true, "apiextensions/v1.JSONSchemaPropsOrBool": true,
	"apiextensions/v1.JSONSchemaPropsOrArray": true, "apiextensions/v1.JSONSchemaPropsOrStringArray": true,
}

type field struct {
	name, of, merge string
	number          int
}

var (
	messages   = map[string][]field{}
	topologies = readTopologies()
)

func main() {
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, apiextensions.AddToScheme, apiregistration.AddToScheme} {
		if err := add(types); err != nil {
			log.Fatal(err)
		}
	}
	kinds := map[string]string{}
	for _, version := range served {
		for kind, of := range types.KnownTypes(version) {
			if _, ok := reflect.New(of).Interface().(meta.Object); !ok {
				continue
			}
			kinds[version.String()+" "+kind] = message(of)
		}
	}
	for _, of := range []any{meta.DeleteOptions{}, meta.Status{}, meta.ListMeta{}, meta.PartialObjectMetadata{}, apiextensions.JSONSchemaProps{}} {
		message(reflect.TypeOf(of))
	}
	if len(os.Args) > 1 {
		var gvks []schema.GroupVersionKind
		for _, version := range served {
			for kind, of := range types.KnownTypes(version) {
				if _, ok := reflect.New(of).Interface().(meta.Object); ok {
					gvks = append(gvks, version.WithKind(kind))
				}
			}
		}
		sort.Slice(gvks, func(i, j int) bool { return gvks[i].String() < gvks[j].String() })
		samples(types, gvks)
		return
	}
	write(kinds)
}

func named(of reflect.Type) string {
	name := strings.TrimPrefix(of.PkgPath(), "k8s.io/")
	for _, start := range []string{"api/", "apimachinery/pkg/apis/", "apimachinery/pkg/api/", "apimachinery/pkg/util/", "apimachinery/pkg/",
		"apiextensions-apiserver/pkg/apis/", "kube-aggregator/pkg/apis/"} {
		name = strings.TrimPrefix(name, start)
	}
	return name + "." + of.Name()
}

// The name of a message, which is added with all messages that it refers to.
func message(of reflect.Type) string {
	name := named(of)
	if _, known := messages[name]; known || special[name] {
		return name
	}
	if _, own := reflect.New(of).Interface().(json.Marshaler); own {
		log.Fatalf("%s has a JSON form of its own", name)
	}
	messages[name] = nil
	var fields []field
	for i := 0; i < of.NumField(); i++ {
		each := of.Field(i)
		tag := each.Tag.Get("protobuf")
		called, options, _ := strings.Cut(each.Tag.Get("json"), ",")
		if tag == "" {
			if each.Name != "TypeMeta" {
				log.Fatalf("%s.%s has no protobuf tag", name, each.Name)
			}
			continue
		}
		var number int
		_, rest, _ := strings.Cut(tag, ",")
		if _, err := fmt.Sscanf(rest, "%d", &number); err != nil {
			log.Fatal(err)
		}
		if strings.Contains(options, "inline") {
			called = ""
		}
		if called == "" { // its fields are those of the outer type
			topologies[named(each.Type)] = topologies[name]
		}
		of, mark := typeOf(each.Type), ""
		switch {
		case each.Type.Kind() == reflect.Pointer:
			mark = "?"
		case !strings.Contains(options, "omit") && called != "" && of != "b" && !strings.HasPrefix(of, "*") && !strings.HasPrefix(of, "%"):
			mark = "!"
		}
		fields = append(fields, field{called, of + mark, merging(topologies[name], called, each.Tag), number})
	}
	sort.Slice(fields, func(i, j int) bool { return fields[i].number < fields[j].number })
	messages[name] = fields
	return name
}

// How a field is merged: `#` for an atomic map, `&` with the keys of a list for server-side apply (none for a set), `^`
// with the key for strategic merge patches (none for scalars), `~` if patches retain only the keys that they name.
func merging(of *smd.Map, name string, tag reflect.StructTag) string {
	result := ""
	if of == nil {
		of = &smd.Map{}
	}
	if own, found := of.FindField(name); found {
		if own.Type.Inlined.Map != nil && own.Type.Inlined.Map.ElementRelationship == smd.Atomic {
			result += "#"
		}
		if list := own.Type.Inlined.List; list != nil && list.ElementRelationship == smd.Associative {
			result += "&" + strings.Join(list.Keys, ",")
		}
	}
	strategy := tag.Get("patchStrategy")
	if strings.Contains(strategy, "merge") {
		result += "^" + tag.Get("patchMergeKey")
	}
	if strings.Contains(strategy, "retainKeys") {
		result += "~"
	}
	return result
}

// The types of client-go's apply configurations, which are not exported.
func readTopologies() map[string]*smd.Map {
	found, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/client-go").Output()
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(found)), "applyconfigurations/internal/internal.go"))
	if err != nil {
		log.Fatal(err)
	}
	_, literal, _ := strings.Cut(string(text), "typed.YAMLObject(`")
	literal, _, _ = strings.Cut(literal, "`)")
	parsed, err := typed.NewParser(typed.YAMLObject(literal))
	if err != nil {
		log.Fatal(err)
	}
	result := map[string]*smd.Map{}
	for _, each := range parsed.Schema.Types {
		parts := strings.Split(each.Name, ".")
		if each.Map != nil && len(parts) > 3 {
			result[strings.Join(parts[len(parts)-3:len(parts)-1], "/")+"."+parts[len(parts)-1]] = each.Map
		}
	}
	return result
}

func typeOf(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Pointer:
		return typeOf(of.Elem())
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "z"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint8:
		return "i"
	case reflect.Float64:
		return "d"
	case reflect.Slice:
		if of.Elem().Kind() == reflect.Uint8 {
			return "b"
		}
		if of.Name() != "" && of.Elem().Kind() == reflect.String {
			return "ExtraValue"
		}
		return "*" + typeOf(of.Elem())
	case reflect.Map:
		return "%" + typeOf(of.Elem())
	case reflect.Struct:
		return message(of)
	}
	log.Fatalf("%s is not expected", of)
	return ""
}

func write(kinds map[string]string) {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintln(out, "# Field numbers of k8s.io/api v0.37.2, written by tests/embedded/kubernetes/peers/messages.")
	for _, kind := range sorted(kinds) {
		fmt.Fprintf(out, "%s = %s\n", kind, kinds[kind])
	}
	for _, name := range sorted(messages) {
		fmt.Fprint(out, name)
		if own := topologies[name]; own != nil && own.ElementRelationship == smd.Atomic {
			fmt.Fprint(out, "#")
		}
		for _, each := range messages[name] {
			fmt.Fprintf(out, " %d:%s:%s%s", each.number, each.name, each.of, each.merge)
		}
		fmt.Fprintln(out)
	}
}

func sorted[V any](of map[string]V) []string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

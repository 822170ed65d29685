// Goes through all kinds of an API server as controllers do, once with protobuf and once with JSON, and compares.
//
//	go run ./clientgo KUBECONFIG ../../../cases/embedded/kubernetes/kinds.yaml
//
// Prints a line for each kind, with the operations that failed. The exit code is 1 if any did.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/yaml"
)

var ctx = context.Background()

type outcome struct {
	failed []string
	done   int
}

func (o *outcome) check(operation string, err error) bool {
	o.done++
	if err != nil {
		o.failed = append(o.failed, fmt.Sprintf("%s: %v", operation, err))
	}
	return err == nil
}

func main() {
	if err := apiextensions.AddToScheme(scheme.Scheme); err != nil {
		log.Fatal(err)
	}
	if err := apiregistration.AddToScheme(scheme.Scheme); err != nil {
		log.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	config.QPS, config.Burst = 1000, 1000
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var manifests []map[string]any
	if err := yaml.Unmarshal(text, &manifests); err != nil {
		log.Fatal(err)
	}
	found, err := restmapper.GetAPIGroupResources(discovery.NewDiscoveryClientForConfigOrDie(config))
	if err != nil {
		log.Fatal(err)
	}
	mapper := restmapper.NewDiscoveryRESTMapper(found)
	exit := 0
	for _, manifest := range manifests {
		object := &unstructured.Unstructured{Object: manifest}
		outcome := through(config, mapper, object)
		fmt.Printf("%-32s %-32s %d operations", object.GetAPIVersion(), object.GetKind(), outcome.done)
		if len(outcome.failed) > 0 {
			exit = 1
			fmt.Print("\n    " + strings.Join(outcome.failed, "\n    "))
		}
		fmt.Println()
	}
	os.Exit(exit)
}

func clientFor(config *rest.Config, version schema.GroupVersion, media string) *rest.RESTClient {
	own := rest.CopyConfig(config)
	own.GroupVersion = &version
	own.APIPath = "/apis"
	if version.Group == "" {
		own.APIPath = "/api"
	}
	own.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	own.ContentType, own.AcceptContentTypes = media, media
	client, err := rest.RESTClientFor(own)
	if err != nil {
		log.Fatal(err)
	}
	return client
}

func through(config *rest.Config, mapper meta.RESTMapper, manifest *unstructured.Unstructured) *outcome {
	outcome := &outcome{}
	gvk := manifest.GroupVersionKind()
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if !outcome.check("discover", err) {
		return outcome
	}
	namespace, resource := "", mapping.Resource.Resource
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		namespace = "default"
	}
	proto := clientFor(config, gvk.GroupVersion(), "application/vnd.kubernetes.protobuf")
	plain := clientFor(config, gvk.GroupVersion(), "application/json")
	fresh := func() runtime.Object {
		object, err := scheme.Scheme.New(gvk)
		if err != nil {
			log.Fatal(err)
		}
		return object
	}
	named := func(name string) runtime.Object {
		object, copied := fresh(), manifest.DeepCopy()
		copied.SetName(name)
		raw, _ := json.Marshal(copied)
		if err := json.Unmarshal(raw, object); err != nil {
			log.Fatal(err)
		}
		return object
	}
	name := manifest.GetName()
	events, err := proto.Get().NamespaceIfScoped(namespace, namespace != "").Resource(resource).
		VersionedParams(&metav1.ListOptions{Watch: true, FieldSelector: "metadata.name=" + name}, scheme.ParameterCodec).Watch(ctx)
	outcome.check("watch", err)

	created := fresh()
	err = proto.Post().NamespaceIfScoped(namespace, namespace != "").Resource(resource).
		VersionedParams(&metav1.CreateOptions{FieldManager: "proto"}, scheme.ParameterCodec).Body(named(name)).Do(ctx).Into(created)
	if !outcome.check("create", err) {
		return outcome
	}
	read := func(client *rest.RESTClient) (runtime.Object, error) {
		object := fresh()
		return object, client.Get().NamespaceIfScoped(namespace, namespace != "").Resource(resource).Name(name).Do(ctx).Into(object)
	}
	same := func(operation string) {
		one, err := read(proto)
		if !outcome.check(operation+", read as protobuf", err) {
			return
		}
		other, err := read(plain)
		if outcome.check(operation+", read as JSON", err) && !equality.Semantic.DeepEqual(one, other) {
			a, _ := json.Marshal(one)
			b, _ := json.Marshal(other)
			outcome.failed = append(outcome.failed, fmt.Sprintf("%s: protobuf and JSON differ\n%s\n%s", operation, a, b))
		}
	}
	same("create")

	current, err := read(proto)
	if outcome.check("get", err) {
		accessor, _ := meta.Accessor(current)
		if len(accessor.GetManagedFields()) == 0 {
			outcome.failed = append(outcome.failed, "get: no managedFields")
		}
		accessor.SetLabels(map[string]string{"updated": "yes"})
		updated := fresh()
		err = proto.Put().NamespaceIfScoped(namespace, namespace != "").Resource(resource).Name(name).Body(current).Do(ctx).Into(updated)
		outcome.check("update", err)
		same("update")
	}
	if status := statusOf(config, mapping.Resource); status {
		current, err = read(proto)
		if outcome.check("get", err) {
			updated := fresh()
			err = proto.Put().NamespaceIfScoped(namespace, namespace != "").Resource(resource).Name(name).SubResource("status").
				Body(current).Do(ctx).Into(updated)
			outcome.check("update status", err)
		}
	}
	for media, patch := range map[types.PatchType]string{
		types.MergePatchType:          `{"metadata":{"annotations":{"merge":"1"}}}`,
		types.StrategicMergePatchType: `{"metadata":{"annotations":{"strategic":"1"}}}`,
		types.JSONPatchType:           `[{"op":"add","path":"/metadata/labels/json","value":"1"}]`,
		types.ApplyYAMLPatchType: fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"labels":{"applied":"1"}}}`,
			manifest.GetAPIVersion(), manifest.GetKind(), name),
	} {
		request := proto.Patch(media).NamespaceIfScoped(namespace, namespace != "").Resource(resource).Name(name)
		if media == types.ApplyYAMLPatchType {
			request = request.Param("fieldManager", "applier")
		}
		outcome.check("patch "+string(media), request.Body([]byte(patch)).Do(ctx).Into(fresh()))
	}
	same("patch")

	listed, err := scheme.Scheme.New(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	if err != nil {
		log.Fatal(err)
	}
	other := listed.DeepCopyObject()
	query := func(client *rest.RESTClient, into runtime.Object) error {
		return client.Get().NamespaceIfScoped(namespace, namespace != "").Resource(resource).
			VersionedParams(&metav1.ListOptions{}, scheme.ParameterCodec).Do(ctx).Into(into)
	}
	if outcome.check("list", query(proto, listed)) && outcome.check("list as JSON", query(plain, other)) {
		// Items of lists know their kind in JSON only.
		for _, each := range []runtime.Object{listed, other} {
			_ = meta.EachListItem(each, func(item runtime.Object) error {
				item.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
				return nil
			})
		}
		if meta.LenList(listed) == 0 || !equality.Semantic.DeepEqual(listed, other) {
			outcome.failed = append(outcome.failed, "list: protobuf and JSON differ")
		}
	}
	deletion := metav1.NewDeleteOptions(0)
	err = proto.Delete().NamespaceIfScoped(namespace, namespace != "").Resource(resource).Name(name).Body(deletion).Do(ctx).Error()
	outcome.check("delete", err)
	if events != nil {
		outcome.check("watch events", follow(events))
	}
	return outcome
}

// The events of an object's life: added, modified at least once, deleted.
func follow(events watch.Interface) error {
	defer events.Stop()
	counts := map[watch.EventType]int{}
	for {
		select {
		case event, open := <-events.ResultChan():
			if !open {
				return fmt.Errorf("ended after %v", counts)
			}
			counts[event.Type]++
			if event.Type == watch.Error {
				return fmt.Errorf("error event: %v", event.Object)
			}
			if event.Type == watch.Deleted {
				if counts[watch.Added] != 1 || counts[watch.Modified] == 0 {
					return fmt.Errorf("unexpected events: %v", counts)
				}
				return nil
			}
		case <-time.After(10 * time.Second):
			return fmt.Errorf("not deleted within 10 s: %v", counts)
		}
	}
}

func statusOf(config *rest.Config, resource schema.GroupVersionResource) bool {
	list, err := discovery.NewDiscoveryClientForConfigOrDie(config).ServerResourcesForGroupVersion(resource.GroupVersion().String())
	if err != nil {
		log.Fatal(err)
	}
	return slices.ContainsFunc(list.APIResources, func(each metav1.APIResource) bool {
		return each.Name == resource.Resource+"/status"
	})
}

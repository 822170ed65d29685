package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	core "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The values are numbered, so that no two fields have the same.
var n int

func fill(v reflect.Value, depth int) {
	n++
	switch x := v.Addr().Interface().(type) {
	case *meta.Time:
		*x = meta.NewTime(time.Unix(1700000000+int64(n), 0).UTC())
		return
	case *meta.MicroTime:
		*x = meta.NewMicroTime(time.Unix(1700000000+int64(n), 123456000).UTC())
		return
	case *intstr.IntOrString:
		if n%2 == 0 {
			*x = intstr.FromInt32(int32(n))
		} else {
			*x = intstr.FromString(fmt.Sprint(n, "%"))
		}
		return
	case *resource.Quantity:
		*x = resource.MustParse(fmt.Sprintf("%dm", n))
		return
	case *runtime.RawExtension:
		x.Raw = []byte(fmt.Sprintf(`{"a":%d}`, n))
		return
	case *meta.FieldsV1:
		x.Raw = []byte(`{"f:a":{".":{},"k:{\"name\":\"x\"}":{}}}`)
		return
	case *apiextensions.JSON:
		x.Raw = []byte(fmt.Sprintf(`{"b":[%d,"x",null,1.5]}`, n))
		return
	case *apiextensions.JSONSchemaPropsOrBool:
		x.Allows = true
		if depth < 7 {
			x.Schema = &apiextensions.JSONSchemaProps{Type: "string"}
		}
		return
	case *apiextensions.JSONSchemaPropsOrArray:
		x.Schema = &apiextensions.JSONSchemaProps{Type: "string"}
		return
	case *apiextensions.JSONSchemaPropsOrStringArray:
		x.Property = []string{"a", "b"}
		return
	case *core.PodTemplateSpec:
		x.Labels = map[string]string{"a": "b"}
		x.Spec.Containers = []core.Container{{Name: "c"}}
		return
	case *apiextensions.JSONSchemaProps:
		if depth > 6 {
			x.Type = "object"
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.String:
		v.SetString(fmt.Sprintf("t%d", n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		if n%3 == 0 {
			v.SetInt(int64(-n))
		} else {
			v.SetInt(int64(n))
		}
	case reflect.Float64:
		v.SetFloat(float64(n) + 0.5)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte{byte(n), 0, 255})
			return
		}
		s := reflect.MakeSlice(v.Type(), 1, 1)
		fill(s.Index(0), depth+1)
		v.Set(s)
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		k := reflect.New(v.Type().Key()).Elem()
		k.SetString(fmt.Sprintf("k%d", n))
		e := reflect.New(v.Type().Elem()).Elem()
		fill(e, depth+1)
		m.SetMapIndex(k, e)
		v.Set(m)
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			if v.Type().Field(i).Name == "TypeMeta" || !v.Type().Field(i).IsExported() {
				continue
			}
			fill(v.Field(i), depth+1)
		}
	}
}

// Writes one object of each kind, with all its fields set: as protobuf, and as JSON.
func samples(types *runtime.Scheme, gvks []schema.GroupVersionKind) {
	codec := protobuf.NewSerializer(types, types)
	for _, gvk := range gvks {
		obj, err := types.New(gvk)
		if err != nil {
			panic(err)
		}
		fill(reflect.ValueOf(obj).Elem(), 0)
		obj.GetObjectKind().SetGroupVersionKind(gvk)
		raw, err := runtime.Encode(codec, obj)
		if err != nil {
			panic(err)
		}
		text, _ := json.Marshal(obj)
		fmt.Printf("%s\t%s\n", base64.StdEncoding.EncodeToString(raw), text)
	}
}

package manifests

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
)

//go:embed base.yaml
var baseText []byte

// base holds what never changes in the objects of a kind.
var base = func() (kinds map[string]json.RawMessage) {
	if err := yaml.UnmarshalStrict(baseText, &kinds); err != nil {
		panic(fmt.Sprintf("base.yaml: %v", err))
	}
	return kinds
}()

// object is a pointer to a Kubernetes object.
type object[T any] interface {
	*T
	client.Object
}

// made returns a new object of a kind that goes when its RoseyBot goes. Component is empty for what all share.
func made[T any, P object[T]](bot *v1alpha1.RoseyBot, name string, component Component) P {
	one, kind := P(new(T)), reflect.TypeFor[T]().Name()
	if err := json.Unmarshal(base[kind], one); err != nil {
		panic(fmt.Sprintf("base.yaml: %s: %v", kind, err))
	}
	one.SetName(name)
	one.SetNamespace(bot.Namespace)
	one.SetLabels(labelsOf(bot, component))
	one.SetOwnerReferences([]metav1.OwnerReference{
		*metav1.NewControllerRef(bot, v1alpha1.GroupVersion.WithKind(v1alpha1.RoseyBotKind)),
	})
	return one
}

// Package manifests says which objects a RoseyBot needs. Its functions are pure: a RoseyBot and Params in, desired
// objects out, without client, clock or logger.
package manifests

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
)

// Params is what the desired objects depend on beside the RoseyBot.
type Params struct {
	// Image runs where the RoseyBot names none.
	Image string
	// OperatorNamespace is where the operator runs, which network policies let in. Empty: any namespace.
	OperatorNamespace string
	// Owner is the RoseyBot of database.sharedFrom.
	Owner *v1alpha1.RoseyBot
}

// Set is all that a RoseyBot needs, in the order in which it is to be written: an object only needs what stands
// before it. Nothing of Database or Bot may run without all of Shared.
type Set struct {
	Shared   []client.Object
	Database []client.Object
	Bot      []client.Object
}

// Components are the objects of each component.
func (s Set) Components() map[Component][]client.Object {
	return map[Component][]client.Object{Database: s.Database, Bot: s.Bot}
}

// All are the objects of a Set.
func (s Set) All() []client.Object { return slices.Concat(s.Shared, s.Database, s.Bot) }

// Build returns the objects that a RoseyBot needs.
func Build(bot *v1alpha1.RoseyBot, params Params) (Set, error) {
	files, err := configFiles(bot, params)
	if err != nil {
		return Set{}, fmt.Errorf("making the configuration: %w", err)
	}
	set := Set{}
	if bot.Spec.ServiceAccountName == "" {
		set.Shared = append(set.Shared, made[corev1.ServiceAccount](bot, serviceAccountName(bot), ""))
	}
	configuration := made[corev1.ConfigMap](bot, configMapName(bot), "")
	configuration.Data = files
	set.Shared = append(set.Shared, configuration)
	if HasService(bot) {
		set.Database = component(bot, params, files, Database)
	}
	set.Bot = component(bot, params, files, Bot)
	return set, nil
}

func component(bot *v1alpha1.RoseyBot, params Params, files map[string]string, component Component) []client.Object {
	objects := access(bot, params, component)
	if HoldsClaim(bot, component) {
		objects = append(objects, claim(bot))
	}
	objects = append(objects, deployment(bot, params, files, component))
	return append(objects, scaling(bot, component)...)
}

// access is who reaches the pods of a component, and whom they reach.
func access(bot *v1alpha1.RoseyBot, params Params, component Component) []client.Object {
	service := made[corev1.Service](bot, Name(bot, component), component)
	service.Spec.Selector = Selector(bot, component)
	if !ptr.Deref(bot.Spec.NetworkPolicy.Enabled, true) {
		return []client.Object{service}
	}
	policy := made[networkingv1.NetworkPolicy](bot, Name(bot, component), component)
	policy.Spec.PodSelector.MatchLabels = Selector(bot, component)
	if params.OperatorNamespace != "" {
		policy.Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels = map[string]string{
			corev1.LabelMetadataName: params.OperatorNamespace,
		}
	}
	if rules := bot.Spec.DeepCopy().NetworkPolicy.Egress; len(rules) > 0 {
		policy.Spec.Egress = rules
	}
	for _, rule := range policy.Spec.Egress {
		for i := range rule.Ports { // written out for the reason that environment gives
			rule.Ports[i].Protocol = new(ptr.Deref(rule.Ports[i].Protocol, corev1.ProtocolTCP))
		}
	}
	return []client.Object{policy, service}
}

// scaling is what several pods of a component need beside their Deployment. A single one gets no
// PodDisruptionBudget: it would keep a node from being drained.
func scaling(bot *v1alpha1.RoseyBot, component Component) (objects []client.Object) {
	autoscaled := Autoscaled(bot, component)
	if Replicas(bot, component) > 1 || autoscaled {
		budget := made[policyv1.PodDisruptionBudget](bot, Name(bot, component), component)
		budget.Spec.Selector = &metav1.LabelSelector{MatchLabels: Selector(bot, component)}
		objects = append(objects, budget)
	}
	if autoscaled {
		wanted := databaseOf(bot).Autoscaling
		scaler := made[autoscalingv2.HorizontalPodAutoscaler](bot, Name(bot, component), component)
		scaler.Spec.ScaleTargetRef.Name = Name(bot, component)
		scaler.Spec.MinReplicas, scaler.Spec.MaxReplicas = wanted.MinReplicas, wanted.MaxReplicas
		scaler.Spec.Metrics[0].Resource.Target.AverageUtilization = wanted.TargetCPUUtilization
		objects = append(objects, scaler)
	}
	return objects
}

//go:embed base.yaml
var baseText []byte

// base holds what never changes in the objects of a kind.
var base = func() (kinds map[string]json.RawMessage) {
	if err := yaml.UnmarshalStrict(baseText, &kinds); err != nil {
		panic(fmt.Sprintf("base.yaml: %v", err))
	}
	return kinds
}()

// made returns a new object of a kind that goes when its RoseyBot goes. Component is empty for what all share.
func made[T any, P interface {
	*T
	client.Object
}](bot *v1alpha1.RoseyBot, name string, component Component) P {
	one := P(new(T))
	overlay(base[reflect.TypeFor[T]().Name()], one)
	one.SetName(name)
	one.SetNamespace(bot.Namespace)
	one.SetLabels(labelsOf(bot, component))
	one.SetOwnerReferences([]metav1.OwnerReference{
		*metav1.NewControllerRef(bot, v1alpha1.GroupVersion.WithKind(v1alpha1.RoseyBotKind)),
	})
	return one
}

// overlay writes what is set in one value over another one, field by field as JSON names them.
func overlay(from, over any) {
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, over)
	}
	if err != nil {
		panic(fmt.Sprintf("writing %T over %T: %v", from, over, err)) // fields of one name have one type
	}
}

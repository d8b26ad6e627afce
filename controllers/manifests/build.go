package manifests

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// Params are the operator's settings that desired objects depend on.
type Params struct {
	// Image is the container image of RoseyBots whose spec names none.
	Image string
	// OperatorNamespace is the only namespace from which NetworkPolicies admit the operator. Empty: any namespace.
	OperatorNamespace string
	// MetricsLabels are the labels of the namespaces whose pods NetworkPolicies admit to metrics. Empty: metrics=enabled.
	MetricsLabels map[string]string
}

// Observed is the state of the cluster that desired objects depend on. The zero value is a cluster in which nothing
// exists yet.
type Observed struct {
	// Owner is the RoseyBot that database.sharedFrom names, or nil if there is none.
	Owner *v1alpha1.RoseyBot
	// NamespaceUID is the UID of the RoseyBot's namespace. Empty: it is not known.
	NamespaceUID types.UID
	// Channels are what ListChannels returns. Nil: the RoseyBot's own channel.
	Channels []config.ListedChannel
	// Objects are the live objects that carry the RoseyBot's label, except pods.
	Objects map[Key]client.Object
	// ClaimPods is, for each component, the name of a pod that mounts the claim and has not ended. A pod that is
	// being deleted counts until it is gone, because its process may still have the database open.
	ClaimPods map[Component]string
	// Pods counts the pods of each component.
	Pods map[Component]PodCount
}

// Key identifies an object in the RoseyBot's namespace.
type Key struct{ Kind, Name string }

// String returns the kind and the name, for messages.
func (k Key) String() string { return k.Kind + " " + k.Name }

// KeyOf returns the Key of an object whose kind is set.
func KeyOf(object client.Object) Key {
	return Key{Kind: object.GetObjectKind().GroupVersionKind().Kind, Name: object.GetName()}
}

// Find returns the live object of type T with a name, or nil if there is none.
func Find[T client.Object](observed Observed, name string) T {
	found, _ := observed.Objects[Key{Kind: reflect.TypeFor[T]().Elem().Name(), Name: name}].(T)
	return found
}

// Desired is a desired object of a RoseyBot.
type Desired struct {
	Object    client.Object
	Component Component // the component that needs the object, or "" if all do
}

// Build returns the desired objects of a RoseyBot in the order in which they are to be written: an object refers only
// to objects before it. It changes none of its arguments.
func Build(bot *v1alpha1.RoseyBot, params Params, observed Observed) (all []Desired, err error) {
	files, err := configFiles(bot, observed.Owner)
	if err != nil {
		return nil, fmt.Errorf("building the configuration: %w", err)
	}
	add := func(component Component, objects ...client.Object) {
		for _, object := range objects {
			all = append(all, Desired{Object: object, Component: component})
		}
	}
	if bot.Spec.ServiceAccountName == "" {
		add("", newObject[corev1.ServiceAccount](bot, serviceAccountName(bot, Bot), ""))
	}
	configuration := newObject[corev1.ConfigMap](bot, configMapName(bot), "")
	configuration.Data = files
	add("", configuration)
	live, err := liveObjects(bot)
	if err != nil {
		return nil, err
	}
	add("", live)
	for _, component := range Components(bot) {
		add(component, networkObjects(bot, params, component)...)
		add(component, pluginObjects(bot, component)...)
		if MountsClaim(bot, component) {
			for _, spec := range Claims(bot) {
				add(component, claim(bot, spec, observed))
			}
		}
		if component == Database {
			list, err := channelList(bot, observed)
			if err != nil {
				return nil, err
			}
			add(component, list)
		}
		add(component, deployment(bot, params, observed, component, Hash(files[configFile[component]])))
		add(component, scalingObjects(bot, component)...)
	}
	return all, nil
}

// pagesPort is the name of the port of the web page's container for its pages.
const pagesPort = "pages"

// networkObjects returns the Service of a component and, unless the spec disables it, the NetworkPolicy. Plugins have
// no Service, because nobody connects to them.
func networkObjects(bot *v1alpha1.RoseyBot, params Params, component Component) (objects []client.Object) {
	if ptr.Deref(bot.Spec.NetworkPolicy.Enabled, true) {
		objects = append(objects, networkPolicy(bot, params, component))
	}
	if RunsPlugins(component) {
		return objects
	}
	service := newObject[corev1.Service](bot, Name(bot, component), component)
	service.Spec.Selector = Selector(bot, component)
	if component == Web { // who reaches the pages need not reach the state of the process
		pages := &service.Spec.Ports[0]
		pages.Name, pages.Port, pages.TargetPort = pagesPort, status.PagesPort, intstr.FromString(pagesPort)
	}
	return append(objects, service)
}

func networkPolicy(bot *v1alpha1.RoseyBot, params Params, component Component) *networkingv1.NetworkPolicy {
	policy := newObject[networkingv1.NetworkPolicy](bot, Name(bot, component), component)
	policy.Spec.PodSelector = policySelector(bot, component)
	if params.OperatorNamespace != "" {
		policy.Spec.Ingress[0].From[0].NamespaceSelector.MatchLabels = map[string]string{
			corev1.LabelMetadataName: params.OperatorNamespace,
		}
	}
	if len(params.MetricsLabels) > 0 {
		policy.Spec.Ingress[0].From[1].NamespaceSelector.MatchLabels = maps.Clone(params.MetricsLabels)
	}
	if component == Web {
		port := networkingv1.NetworkPolicyPort{
			Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromString(pagesPort)),
		}
		ofNamespace := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
		policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{
			Ports: []networkingv1.NetworkPolicyPort{port},
			From:  append([]networkingv1.NetworkPolicyPeer{ofNamespace}, bot.Spec.Web.DeepCopy().AllowFrom...),
		})
	}
	if !ServesHTTP(bot, component) {
		policy.Spec.Ingress = nil
	}
	own := pluginOf(bot, component)
	for _, rules := range [][]networkingv1.NetworkPolicyEgressRule{
		bot.Spec.DeepCopy().NetworkPolicy.Egress, own.DeepCopy().Egress,
	} {
		if len(rules) > 0 {
			policy.Spec.Egress = rules
		}
	}
	for _, rule := range policy.Spec.Egress {
		for i := range rule.Ports { // a default added by the API server would be a permanent difference
			rule.Ports[i].Protocol = new(ptr.Deref(rule.Ports[i].Protocol, corev1.ProtocolTCP))
		}
	}
	return policy
}

// policySelector returns the pods of a component for its NetworkPolicy. Where the data is, they include those of Jobs
// of `rosey job`: without a policy they could connect anywhere, or nowhere if the namespace denies egress by default.
// These do not have LabelRoseyBot, so that commands for the pods of a RoseyBot leave them out.
func policySelector(bot *v1alpha1.RoseyBot, component Component) metav1.LabelSelector {
	if isOptional(component) || component == Bot && HasService(bot) {
		return metav1.LabelSelector{MatchLabels: Selector(bot, component)}
	}
	return metav1.LabelSelector{
		MatchLabels: map[string]string{labelName: roseyName, labelInstance: bot.Name},
		MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: LabelComponent, Operator: metav1.LabelSelectorOpIn, Values: []string{string(component), "job"},
		}},
	}
}

// scalingObjects returns the objects that a component with several pods needs in addition to its Deployment. A
// component with one pod gets no PodDisruptionBudget, because that would prevent its node from being drained.
func scalingObjects(bot *v1alpha1.RoseyBot, component Component) (objects []client.Object) {
	autoscaled := Autoscaled(bot, component)
	if Replicas(bot, component) > 1 || autoscaled {
		budget := newObject[policyv1.PodDisruptionBudget](bot, Name(bot, component), component)
		budget.Spec.Selector = &metav1.LabelSelector{MatchLabels: Selector(bot, component)}
		objects = append(objects, budget)
	}
	if autoscaled {
		autoscaling := databaseOf(bot).Autoscaling
		scaler := newObject[autoscalingv2.HorizontalPodAutoscaler](bot, Name(bot, component), component)
		scaler.Spec.ScaleTargetRef.Name = Name(bot, component)
		scaler.Spec.MinReplicas, scaler.Spec.MaxReplicas = autoscaling.MinReplicas, autoscaling.MaxReplicas
		scaler.Spec.Metrics[0].Resource.Target.AverageUtilization = autoscaling.TargetCPUUtilization
		objects = append(objects, scaler)
	}
	return objects
}

//go:embed base.yaml
var baseText []byte

// base holds, for each kind and for each component's container, the fields that are the same for every RoseyBot.
var base = func() (kinds map[string]json.RawMessage) {
	if err := yaml.UnmarshalStrict(baseText, &kinds); err != nil {
		panic(fmt.Sprintf("base.yaml: %v", err))
	}
	return kinds
}()

// newObject returns an object of type T, filled in from base.yaml and controlled by the RoseyBot, so that it is
// garbage collected with it. The component is empty for an object of all components.
func newObject[T any, P interface {
	*T
	client.Object
}](bot *v1alpha1.RoseyBot, name string, component Component) P {
	object := P(new(T))
	overlay(base[reflect.TypeFor[T]().Name()], object)
	object.SetName(name)
	object.SetNamespace(bot.Namespace)
	object.SetLabels(labels(bot, component))
	object.SetOwnerReferences([]metav1.OwnerReference{
		*metav1.NewControllerRef(bot, v1alpha1.GroupVersion.WithKind(v1alpha1.RoseyBotKind)),
	})
	return object
}

// overlay sets in to the fields that are set in from, matched by their JSON names. Other fields of to stay as they are.
func overlay(from, to any) {
	text, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		panic(fmt.Sprintf("overlaying %T with %T: %v", to, from, err)) // fields of one name have one type
	}
}

// Hash returns a short hash of a value's JSON.
func Hash(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("hashing %T: %v", value, err)) // every Kubernetes object can be encoded
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

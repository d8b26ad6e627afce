package controllers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/test/apiservertest"
)

// largeObjects returns, for each kind, an object as large as the API server accepts, in the ways that take most memory.
func largeObjects() map[string]client.Object {
	long := strings.Repeat("x", 1<<20)
	volumes := make([]corev1.Volume, 20_000)
	for i := range volumes {
		volumes[i] = corev1.Volume{Name: fmt.Sprint(i), VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "movienight-db"},
		}}
	}
	deployment := &appsv1.Deployment{}
	deployment.Spec.Template.Spec.Volumes = volumes
	policy := &networkingv1.NetworkPolicy{}
	policy.Spec.Egress = make([]networkingv1.NetworkPolicyEgressRule, 20_000)
	claim := &corev1.PersistentVolumeClaim{}
	claim.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": long}}
	claim.Spec.AccessModes = make([]corev1.PersistentVolumeAccessMode, 60_000)
	return map[string]client.Object{
		"Deployment":            deployment,
		"Pod":                   &corev1.Pod{Spec: corev1.PodSpec{Volumes: volumes}},
		"ConfigMap":             &corev1.ConfigMap{Data: map[string]string{"bot.yaml": long, "other": long}},
		"Service":               &corev1.Service{Spec: corev1.ServiceSpec{Ports: make([]corev1.ServicePort, 10_000)}},
		"ServiceAccount":        &corev1.ServiceAccount{Secrets: make([]corev1.ObjectReference, 10_000)},
		"NetworkPolicy":         policy,
		"PersistentVolumeClaim": claim,
	}
}

// addLargeMetadata adds metadata that the API server accepts, beside the labels that every object in the cache has.
func addLargeMetadata(object client.Object) {
	long := strings.Repeat("x", 1<<20)
	labels := map[string]string{
		manifests.LabelManagedBy: manifests.ManagedBy, manifests.LabelRoseyBot: "movienight",
	}
	finalizers := make([]string, 10_000)
	for i := range finalizers {
		labels[fmt.Sprintf("example.org/%d", i)] = "x"
		finalizers[i] = fmt.Sprintf("example.org/%d", i)
	}
	object.SetName("movienight-db")
	object.SetLabels(labels)
	object.SetFinalizers(finalizers)
	object.SetAnnotations(map[string]string{
		"a": long, desiredHashAnnotation: long, "rosey.dev/channel": long, v1alpha1.TakeOverAnnotation: long,
	})
	object.SetOwnerReferences(append(make([]metav1.OwnerReference, 10_000), metav1.OwnerReference{
		APIVersion: long, Kind: v1alpha1.RoseyBotKind, Name: long, UID: types.UID(long), Controller: new(true),
	}))
}

// Objects of others that carry the operator's label, and pods, do not fill its memory.
func TestForeignObjectsTakeLittleMemory(t *testing.T) {
	const little = 8 << 10
	for kind, object := range largeObjects() {
		addLargeMetadata(object)
		if fits(object, 500<<10) {
			t.Errorf("%s: expected it to be large before", kind)
		}
		for range 2 { // the cache may trim an object again
			trim(object)
			if !fits(object, little) {
				t.Errorf("%s: more than %d bytes are cached", kind, little)
			}
		}
		if object.GetName() == "" || object.GetLabels()[manifests.LabelRoseyBot] == "" ||
			metav1.GetControllerOf(object) == nil {
			t.Errorf("%s: cached as %+v, which nobody recognizes", kind, object)
		}
	}
}

// What no garbage collector removes, and no reconcile prunes, is not taken for an object of a RoseyBot.
func TestOwnersThatNobodyKnowsAreForeign(t *testing.T) {
	for name, edit := range map[string]func(*appsv1.Deployment){
		"group": func(d *appsv1.Deployment) { d.OwnerReferences[0].APIVersion = "example.org/v1" },
		"kind":  func(d *appsv1.Deployment) { d.OwnerReferences[0].Kind = "Other" },
		"name":  func(d *appsv1.Deployment) { d.OwnerReferences[0].Name = "other" },
		"label": func(d *appsv1.Deployment) { delete(d.Labels, manifests.LabelRoseyBot) },
		"owner": func(d *appsv1.Deployment) { d.OwnerReferences = nil },
	} {
		deployment := &appsv1.Deployment{}
		deployment.Spec.Template.Spec.Containers = []corev1.Container{{Name: "bot"}}
		deployment.Labels = map[string]string{manifests.LabelRoseyBot: "movienight"}
		deployment.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.RoseyBotKind, Name: "movienight", Controller: new(true),
		}}
		if trim(deployment); len(deployment.Spec.Template.Spec.Containers) == 0 {
			t.Fatal("the object of a RoseyBot is not cached")
		}
		deployment = deployment.DeepCopy() // objects share what is in the cache
		edit(deployment)
		if trim(deployment); len(deployment.Spec.Template.Spec.Containers) > 0 {
			t.Errorf("another %s: the whole object is cached", name)
		}
	}
}

// What belongs to a RoseyBot, or claims it, is bounded too, and marked: its content must not be taken for the whole.
func TestOwnObjectsAreCachedUpToALimit(t *testing.T) {
	for kind, object := range largeObjects() {
		object.SetLabels(map[string]string{manifests.LabelRoseyBot: "movienight"})
		owner := metav1.OwnerReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.RoseyBotKind, Name: "movienight", Controller: new(true),
		}
		object.SetOwnerReferences([]metav1.OwnerReference{owner})
		for range 2 {
			trim(object)
			if !fits(object, maxObjectMemory) || isTooLarge(object) == (kind == "Pod") {
				t.Errorf("%s: fits %t, marked %t", kind, fits(object, maxObjectMemory), isTooLarge(object))
			}
		}
	}
	bot := newBot("fun")
	addLargeMetadata(bot)
	for range 50 {
		bot.Spec.ExtraEnv = append(bot.Spec.ExtraEnv, corev1.EnvVar{Name: "A", Value: strings.Repeat("x", 4096)})
	}
	bot.Status.Conditions = []metav1.Condition{{Message: strings.Repeat("x", 1<<20)}}
	for range 2 {
		trim(bot)
		if !fits(bot, maxBotMemory) || !isTooLarge(bot) || bot.Spec.Channel.Name == "" || bot.Spec.NATS == nil {
			t.Errorf("fits %t, marked %t, spec %+v", fits(bot, maxBotMemory), isTooLarge(bot), bot.Spec)
		}
	}
}

// What the operator builds is cached as it is, or each reconcile would write it again.
func TestWhatTheOperatorBuildsIsCached(t *testing.T) {
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	files, err := filepath.Glob("manifests/testdata/*.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[reflect.Type]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			decoded, _, err := decoder.Decode([]byte(document), nil, nil)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			cached := decoded.DeepCopyObject()
			trim(cached)
			if diff := cmp.Diff(decoded, cached); diff != "" {
				t.Errorf("%s: -built +cached: %s", file, diff)
			}
			kinds[reflect.TypeOf(decoded)] = true
		}
	}
	if len(kinds) < 8 {
		t.Errorf("only %d kinds", len(kinds))
	}
}

// A RoseyBot that is too large is not built from, and says so; what runs of it stays. It goes on once it is shorter.
func TestLargeRoseyBotIsReported(t *testing.T) {
	bot := newBot(newNamespace(t))
	large := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: "zone", Operator: corev1.NodeSelectorOpIn,
			}}}},
		},
	}}
	term := &large.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0]
	for i := range 5000 {
		term.MatchExpressions[0].Values = append(term.MatchExpressions[0].Values, fmt.Sprintf("zone-%d", i))
	}
	create(t, bot)
	rollOut(t, bot)
	change(t, bot, func() { bot.Spec.Scheduling.Affinity, bot.Spec.LogLevel = large, "debug" })
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", v1alpha1.ReasonTooLarge,
		"the RoseyBot takes more than 100 KiB of memory: make its lists and texts shorter"})
	deployment, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
	if err != nil || *deployment.Spec.Replicas != 1 {
		t.Errorf("the Deployment of the bot: %+v, %v", deployment.Spec.Replicas, err)
	}
	change(t, bot, func() { bot.Spec.Scheduling.Affinity = nil })
	waitNotReason(t, bot, v1alpha1.ReasonTooLarge)
}

// An object that would be too large is not created: it could not be replaced when the RoseyBot gets smaller. Characters
// that are escaped take six times as much room as in the spec.
func TestRoseyBotWhoseObjectsAreTooLargeIsReported(t *testing.T) {
	bot := newBot(newNamespace(t))
	for i := range 15 {
		bot.Spec.Plugins = append(bot.Spec.Plugins, v1alpha1.Plugin{
			Name: v1alpha1.PluginName(fmt.Sprint("p", i)), Builtin: "dice",
			Config: map[string]v1alpha1.PluginSetting{"text": v1alpha1.PluginSetting(strings.Repeat("\x01", 4096))},
		})
	}
	create(t, bot)
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", v1alpha1.ReasonTooLarge,
		"ConfigMap movienight-live takes more than 200 KiB of memory: make the lists and texts of the RoseyBot shorter"})
	change(t, bot, func() { bot.Spec.Plugins = bot.Spec.Plugins[:1] })
	waitNotReason(t, bot, v1alpha1.ReasonTooLarge)
}

// An object of a RoseyBot to which others have added much is left alone, and repaired once that is gone.
func TestInflatedObjectIsReported(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	rollOut(t, bot)
	deployment, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
	if err != nil {
		t.Fatal(err)
	}
	change(t, deployment, func() {
		template := &deployment.Spec.Template
		template.Spec.Containers[0].Image = "example.org/other"
		for i := range 5000 {
			template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{Name: fmt.Sprint("v", i)})
		}
	})
	waitExpected(t, bot, expected{v1alpha1.ConditionReady, "False", v1alpha1.ReasonTooLarge,
		"Deployment movienight-bot takes more than 200 KiB of memory: remove what others have added to it"})
	change(t, deployment, func() {
		template := &deployment.Spec.Template
		template.Spec.Volumes = template.Spec.Volumes[:len(template.Spec.Volumes)-5000]
	})
	waitNotReason(t, bot, v1alpha1.ReasonTooLarge)
	if deployment, err = get(t.Context(), deployment, bot.Namespace, "movienight-bot"); err != nil ||
		deployment.Spec.Template.Spec.Containers[0].Image != testImage {
		t.Errorf("image %q, %v", deployment.Spec.Template.Spec.Containers[0].Image, err)
	}
}

// waitNotReason waits until Ready of the newest generation has another reason.
func waitNotReason(t *testing.T, bot *v1alpha1.RoseyBot, reason string) {
	t.Helper()
	eventually(t, "another reason than "+reason, func(ctx context.Context) error {
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err != nil {
			return err
		}
		ready := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.Reason == reason || ready.ObservedGeneration != now.Generation {
			return errors.New(describe(now))
		}
		return nil
	})
}

// A user is told at once what is too long, as far as one rule can say it.
func TestSchemaBoundsListsAndTexts(t *testing.T) {
	namespace := newNamespace(t)
	list := func(count int, item string) string {
		return "[" + strings.Repeat(item+",", count-1) + item + "]"
	}
	var sysctls, resources []string
	for i := range 21 {
		sysctls = append(sysctls, fmt.Sprintf("{name: a%d, value: b}", i))
		resources = append(resources, fmt.Sprintf("example.org/r%d: 1", i))
	}
	limits := "{limits: {" + strings.Join(resources, ",") + "}}"
	for spec, want := range map[string]string{
		"extraEnv: [{name: A, value: " + strings.Repeat("x", 4097) + "}]":        "and values of at most 4096",
		"extraEnv: [{name: " + strings.Repeat("x", 257) + "}]":                   "names of at most 256",
		"imagePullSecrets: [{name: " + strings.Repeat("x", 254) + "}]":           "names of Secrets",
		"scheduling: {tolerations: [{key: " + strings.Repeat("x", 317) + "}]}":   "keys of at most 316",
		"scheduling: {tolerations: [{value: " + strings.Repeat("x", 64) + "}]}":  "values of at most 63",
		"networkPolicy: {egress: [{ports: " + list(51, "{port: 1}") + "}]}":      "at most 50 ports",
		"networkPolicy: {egress: [{to: " + list(51, "{podSelector: {}}") + "}]}": "and 50 peers",
		"podSecurityContext: {supplementalGroups: " + list(51, "1") + "}":        "50 supplementalGroups",
		"podSecurityContext: {sysctls: [" + strings.Join(sysctls, ",") + "]}":    "20 sysctls",
		"resources: " + limits:                  "at most 20 limits",
		"database: {resources: " + limits + "}": "at most 20 limits",
		"web: {resources: " + limits + "}":      "at most 20 limits",
	} {
		object := manifest(t, namespace, "movienight", with(spec))
		err := rig.admin.Create(t.Context(), object, client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error is %v, want it to contain %q", spec, err, want)
		}
	}
}

// unboundedFields are the fields whose size is not bounded by the schema, so that trimBot has to drop them.
var unboundedFields = []string{
	"imagePullSecrets", "extraEnv", "podSecurityContext", "resources", "scheduling", "networkPolicy.egress",
	"database.resources", "web.allowFrom", "web.resources", "plugins[].envFrom", "plugins[].resources",
	"plugins[].egress", "pluginHost.envFrom", "pluginHost.resources", "pluginHost.egress",
}

// A new field without maxLength, maxItems or maxProperties could fill the operator's memory.
func TestEveryOtherFieldIsBoundedByTheSchema(t *testing.T) {
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
	objects, err := apiservertest.RenderChart(t.Context(), "--show-only", "templates/crd.yaml")
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	content := objects[0].(*unstructured.Unstructured).Object
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, crd); err != nil {
		t.Fatal(err)
	}
	visited := 0
	var visit func(path string, schema apiextensionsv1.JSONSchemaProps)
	visit = func(path string, schema apiextensionsv1.JSONSchemaProps) {
		if slices.Contains(unboundedFields, path) {
			return
		}
		visited++
		switch {
		case schema.Type == "string" && schema.MaxLength == nil && schema.Enum == nil,
			schema.Type == "array" && schema.MaxItems == nil, schema.XIntOrString,
			schema.AdditionalProperties != nil && schema.MaxProperties == nil, schema.XPreserveUnknownFields != nil:
			t.Errorf("spec.%s is not bounded: expected maxLength, maxItems or maxProperties", path)
		}
		for name, field := range schema.Properties {
			visit(strings.TrimPrefix(path+"."+name, "."), field)
		}
		if schema.Items != nil {
			visit(path+"[]", *schema.Items.Schema)
		}
		if schema.AdditionalProperties != nil {
			visit(path+"{}", *schema.AdditionalProperties.Schema)
		}
	}
	visit("", crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"])
	if visited < 60 {
		t.Errorf("only %d fields were visited", visited)
	}
}

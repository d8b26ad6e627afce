package manifests

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// Annotations of Deployments.
const (
	// templateHashAnnotation is the hash of the pod template as it was built.
	templateHashAnnotation = "rosey.dev/template-hash"
	// specGenerationAnnotation is an origin: from which the Deployment was built, or with which it was compared.
	specGenerationAnnotation = "rosey.dev/spec-generation"
)

// Update is what the operator would change about pods that an earlier version of it started from the same spec.
type Update struct {
	// Built are the desired objects as this version builds them, with annotations that record their specs and templates.
	Built []Desired
	// Pinned are the same objects, with the templates and the configuration of the earlier version where they differ.
	Pinned []Desired
	// Changes describes each Deployment that differs. Without one, Pinned is equal to Built.
	Changes []string
	// Status records the templates and the configuration that differ, unless they are too large.
	Status []v1alpha1.PinnedObject
}

// FindUpdate compares the Deployments of desired objects with what runs: the live ones, or, where they were deleted or
// edited, what the status has of them. Each of them is pinned or not by itself, so that a change of what one component
// is built from restarts no other.
//
// A template and the configuration that it mounts are pinned together or not at all. A pod can restart at any time, for
// example because its node is drained, and an old image may not understand a new configuration.
func FindUpdate(bot *v1alpha1.RoseyBot, desired []Desired, observed Observed) Update {
	update := Update{Built: slices.Clone(desired)}
	for i, next := range desired {
		if workload, isDeployment := next.Object.(*appsv1.Deployment); isDeployment {
			update.Built[i].Object = annotate(workload, Hash(&workload.Spec.Template), origin(bot, workload, observed))
		}
	}
	update.Pinned = slices.Clone(update.Built)
	kept := keptFiles{}
	var later []int
	for i, next := range update.Built {
		workload, isDeployment := next.Object.(*appsv1.Deployment)
		if !isDeployment {
			continue
		}
		runs := findRunning(bot, workload, observed)
		if runs == nil && liveDeployment(bot, workload.Name, observed) == nil {
			later = append(later, i)
		}
		// The hashes are compared, because the API server adds defaults to the live template.
		if runs == nil || templateHash(runs) == templateHash(workload) || !kept.add(bot, runs, update.Built, observed) {
			continue
		}
		pinned := pinTemplate(workload, runs)
		rollOut(pinned, bot, next.Component, observed)
		update.Pinned[i].Object = pinned
		update.Changes = append(update.Changes, describeUpdate(workload, runs))
		update.Status = append(update.Status, recordDeployment(pinned))
	}
	update.useImageOfBot(later)
	update.publishUnready()
	kept.pin(update.Pinned)
	update.Status = withinBounds(append(kept.record(), update.Status...))
	update.keepOrigins(bot, observed)
	update.Pinned = withoutUnusedLiveFiles(bot, update.Pinned)
	return update
}

// origin returns what a Deployment is built from, for specGenerationAnnotation: the generation of the spec, a hash of
// what the operator builds from it, and a hash of the owner's spec.nats if the RoseyBot shares a database service. No
// pod runs while a RoseyBot is suspended, so what they are started from may change then, and when it is resumed.
func origin(bot *v1alpha1.RoseyBot, built *appsv1.Deployment, observed Observed) string {
	text := fmt.Sprint(bot.Generation, " ", Hash([]any{&built.Spec.Template, ptr.Deref(bot.Spec.Suspend, false)}))
	if observed.Owner != nil {
		text += " " + Hash(observed.Owner.Spec.NATS)
	}
	return text
}

// sameOrigin reports whether only the operator can have made a difference between two Deployments: they are built from
// the same spec, or one version builds the same from their specs, which then differ in what concerns others.
func sameOrigin(one, other string) bool {
	a, b := append(strings.Fields(one), "", "", ""), append(strings.Fields(other), "", "", "")
	return sameSpec(one, other) || a[1] == b[1]
}

// sameSpec reports whether two origins are of the same spec. The version before did not write the second field: of a
// RoseyBot that shares a database service it left the generation and the owner's hash, and an upgrade from it must
// restart no pod.
func sameSpec(one, other string) bool {
	a, b := strings.Fields(one), strings.Fields(other)
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) == 2 && len(b) == 3 {
		return a[0] == b[0] && a[1] == b[2]
	}
	a, b = append(a, "", "", ""), append(b, "", "", "")
	return a[0] == b[0] && a[2] == b[2]
}

// keepOrigins leaves the annotations of pinned Deployments as they are while the spec is the same, if the status has
// their origins: an upgrade of the operator need not write each of them, which gives it a new generation.
func (u *Update) keepOrigins(bot *v1alpha1.RoseyBot, observed Observed) {
	for i, next := range u.Pinned {
		pinned, isDeployment := next.Object.(*appsv1.Deployment)
		if !isDeployment || !slices.ContainsFunc(u.Status, func(one v1alpha1.PinnedObject) bool {
			return KeyOf(pinned) == Key{one.Kind, one.Name}
		}) {
			continue
		}
		live := liveDeployment(bot, pinned.Name, observed)
		if live == nil {
			continue
		}
		before := live.Annotations[specGenerationAnnotation]
		if sameSpec(before, pinned.Annotations[specGenerationAnnotation]) {
			u.Pinned[i].Object = annotate(pinned, templateHash(pinned), before)
		}
	}
}

// useImageOfBot makes Deployments that do not exist yet, those of some indexes, run the image that the bot runs if they
// are to have the same. Something may have kept a web page from being created until the operator was upgraded, or it is
// asked for now: that must neither update the bot nor make the two of different versions.
func (u *Update) useImageOfBot(indexes []int) {
	bot := slices.IndexFunc(u.Built, func(next Desired) bool {
		_, isDeployment := next.Object.(*appsv1.Deployment)
		return isDeployment && next.Component == Bot
	})
	if bot < 0 {
		return
	}
	built, running := imageOf(u.Built[bot].Object), imageOf(u.Pinned[bot].Object)
	for _, i := range indexes {
		added, _ := u.Pinned[i].Object.DeepCopyObject().(*appsv1.Deployment)
		if running != built && imageOf(added) == built {
			added.Spec.Template.Spec.Containers[0].Image = running
			u.Pinned[i].Object = annotate(added, Hash(&added.Spec.Template), added.Annotations[specGenerationAnnotation])
		}
	}
}

// publishUnready makes the Service of a web page lead to pods that are not ready, as it did in the version before,
// while it has pods of that version: when NATS is away they are not ready, and their pages say so.
func (u *Update) publishUnready() {
	isOld := slices.ContainsFunc(u.Pinned, func(next Desired) bool {
		workload, isDeployment := next.Object.(*appsv1.Deployment)
		return isDeployment && next.Component == Web &&
			slices.ContainsFunc(workload.Spec.Template.Spec.Containers, func(container corev1.Container) bool {
				return container.Lifecycle == nil
			})
	})
	for i, next := range u.Pinned {
		if service, isService := next.Object.(*corev1.Service); isOld && isService && next.Component == Web {
			service = service.DeepCopy()
			service.Spec.PublishNotReadyAddresses = true
			u.Pinned[i].Object = service
		}
	}
}

// imageOf returns the image of a Deployment's container.
func imageOf(object client.Object) string {
	workload, isDeployment := object.(*appsv1.Deployment)
	if !isDeployment || len(workload.Spec.Template.Spec.Containers) == 0 {
		return ""
	}
	return workload.Spec.Template.Spec.Containers[0].Image
}

func templateHash(workload *appsv1.Deployment) string {
	return workload.Annotations[templateHashAnnotation]
}

// liveDeployment returns the live Deployment of a RoseyBot with a name, or nil if there is none.
func liveDeployment(bot *v1alpha1.RoseyBot, name string, observed Observed) *appsv1.Deployment {
	if live := Find[*appsv1.Deployment](observed, name); live != nil && metav1.IsControlledBy(live, bot) {
		return live
	}
	return nil
}

// findRunning returns a Deployment with the template that runs, or is to run again: what the status has of it, unless
// the live one is already as built, or else the live one. It returns nil if neither has the same origin.
func findRunning(bot *v1alpha1.RoseyBot, built *appsv1.Deployment, observed Observed) *appsv1.Deployment {
	from := built.Annotations[specGenerationAnnotation]
	live, pinned := liveDeployment(bot, built.Name, observed), findPinned(bot, built)
	if isTooOld(bot, live) || isTooOld(bot, pinned) {
		return nil
	}
	if live != nil && !sameOrigin(live.Annotations[specGenerationAnnotation], from) {
		live = nil
	}
	if pinned != nil && (live == nil || templateHash(live) != templateHash(built)) {
		return pinned
	}
	return live
}

const (
	// maxPinned bounds what the status has of all objects of a RoseyBot, in bytes. The usual size is 10 KB, and with as
	// many plugins as there can be, and long texts, 85 KB. The operator discards a status that takes too much memory.
	maxPinned = 96 << 10
	// maxPinnedContent, in bytes, and maxPinnedObjects are what the schema permits.
	maxPinnedContent = 32 << 10
	maxPinnedObjects = 50
)

// withinBounds returns the first objects that the status can have.
func withinBounds(pinned []v1alpha1.PinnedObject) (kept []v1alpha1.PinnedObject) {
	size := 0
	for _, one := range pinned {
		fits := len(one.Content) <= maxPinnedContent && size+len(one.Content) <= maxPinned
		if fits && len(kept) < maxPinnedObjects {
			kept, size = append(kept, one), size+len(one.Content)
		}
	}
	return kept
}

// recordDeployment returns what the status has of a Deployment.
func recordDeployment(workload *appsv1.Deployment) v1alpha1.PinnedObject {
	return v1alpha1.PinnedObject{
		Kind: KeyOf(workload).Kind, Name: workload.Name, Hash: templateHash(workload),
		BuiltFrom: workload.Annotations[specGenerationAnnotation], Content: encode(&workload.Spec.Template),
	}
}

func encode(content any) string {
	text, err := json.Marshal(content)
	if err != nil {
		panic(fmt.Sprintf("encoding %T: %v", content, err)) // every Kubernetes object can be encoded
	}
	return string(text)
}

// findPinned returns a Deployment with the template that the status has of it, or nil if it has none of its origin.
func findPinned(bot *v1alpha1.RoseyBot, built *appsv1.Deployment) *appsv1.Deployment {
	from := built.Annotations[specGenerationAnnotation]
	for _, pinned := range bot.Status.Pinned {
		if KeyOf(built) != (Key{pinned.Kind, pinned.Name}) || !sameOrigin(pinned.BuiltFrom, from) {
			continue
		}
		found := annotate(built, pinned.Hash, from)
		found.Spec.Template = corev1.PodTemplateSpec{}
		if err := json.Unmarshal([]byte(pinned.Content), &found.Spec.Template); err == nil {
			return found
		}
	}
	return nil
}

// keptFiles are files of configuration that stay as they are and are built differently now, by the name of their
// ConfigMap and their own.
type keptFiles map[string]map[string]string

// add adds the file of configuration that a Deployment mounts, as it was when the Deployment was built: as it is in the
// cluster, or as the status has it, unless it is built alike now. It reports whether there is such a file; a Deployment
// without configuration needs none.
func (k keptFiles) add(
	bot *v1alpha1.RoseyBot, runs *appsv1.Deployment, built []Desired, observed Observed,
) (isKnown bool) {
	configMap, file := mountedConfig(&runs.Spec.Template.Spec)
	hash := runs.Spec.Template.Annotations[configHashAnnotation]
	isWanted := func(files map[string]string) bool {
		content, exists := files[file]
		return exists && Hash(content) == hash
	}
	if file == "" || hash == "" || isWanted(builtFiles(built, configMap)) {
		return true
	}
	for _, files := range []map[string]string{liveFiles(observed, configMap), recordedFiles(bot, configMap)} {
		if !isWanted(files) {
			continue
		}
		if k[configMap] == nil {
			k[configMap] = map[string]string{}
		}
		k[configMap][file] = files[file]
		return true
	}
	return false
}

// mountedConfig returns the ConfigMap with the configuration of a pod, and the file that its process reads once. They
// are empty if there are none.
func mountedConfig(pod *corev1.PodSpec) (configMap, file string) {
	for _, volume := range pod.Volumes {
		if volume.Name == configVolume && volume.ConfigMap != nil && len(volume.ConfigMap.Items) > 0 {
			return volume.ConfigMap.Name, volume.ConfigMap.Items[0].Key
		}
	}
	return "", ""
}

func builtFiles(built []Desired, name string) map[string]string {
	for _, next := range built {
		if configuration, isConfig := next.Object.(*corev1.ConfigMap); isConfig && configuration.Name == name {
			return configuration.Data
		}
	}
	return nil
}

func liveFiles(observed Observed, name string) map[string]string {
	if live := Find[*corev1.ConfigMap](observed, name); live != nil {
		return live.Data
	}
	return nil
}

// recordedFiles returns the files of a ConfigMap that the status has, or nil.
func recordedFiles(bot *v1alpha1.RoseyBot, name string) (files map[string]string) {
	for _, pinned := range bot.Status.Pinned {
		if pinned.Kind == configMapKind && pinned.Name == name {
			_ = json.Unmarshal([]byte(pinned.Content), &files) // what cannot be read is not there
		}
	}
	return files
}

// pin changes the files in desired ConfigMaps, which it copies.
func (k keptFiles) pin(desired []Desired) {
	for i, next := range desired {
		configuration, isConfig := next.Object.(*corev1.ConfigMap)
		if !isConfig || k[configuration.Name] == nil {
			continue
		}
		configuration = configuration.DeepCopy()
		maps.Copy(configuration.Data, k[configuration.Name])
		desired[i].Object = configuration
	}
}

const configMapKind, deploymentKind = "ConfigMap", "Deployment"

// record returns what the status has of the files.
func (k keptFiles) record() (pinned []v1alpha1.PinnedObject) {
	for _, name := range slices.Sorted(maps.Keys(k)) {
		pinned = append(pinned, v1alpha1.PinnedObject{
			Kind: configMapKind, Name: name, Hash: Hash(k[name]), Content: encode(k[name]),
		})
	}
	return pinned
}

// DesiredHash returns a hash of a desired object. The template of a Deployment counts as it was built: a pinned one has
// the defaults that the API server added, which are no change.
func DesiredHash(desired client.Object) string {
	if workload, isDeployment := desired.(*appsv1.Deployment); isDeployment && templateHash(workload) != "" {
		workload = workload.DeepCopy()
		workload.Spec.Template = corev1.PodTemplateSpec{}
		return Hash(workload)
	}
	return Hash(desired)
}

// SameRollout reports whether a desired Deployment has the same pods as the live one: other fields may differ.
func SameRollout(desired, live *appsv1.Deployment) bool {
	return templateHash(desired) == templateHash(live) && desired.Spec.Strategy.Type == live.Spec.Strategy.Type &&
		(desired.Spec.Replicas == nil || live.Spec.Replicas != nil && *desired.Spec.Replicas == *live.Spec.Replicas)
}

// MayBeMounted reports whether pods of a component that the spec asks for may refer to a live object that is not
// desired: a pinned template is of another version of the operator, which may build other objects.
func MayBeMounted(bot *v1alpha1.RoseyBot, live client.Object) bool {
	switch live.(type) {
	case *corev1.ConfigMap, *corev1.ServiceAccount:
		component := Component(live.GetLabels()[LabelComponent])
		return component == "" || slices.Contains(Components(bot), component)
	}
	return false
}

// pinTemplate returns a copy of a desired Deployment with the template of another one.
func pinTemplate(desired, from *appsv1.Deployment) *appsv1.Deployment {
	pinned := annotate(desired, templateHash(from), desired.Annotations[specGenerationAnnotation])
	pinned.Spec.Template = *from.Spec.Template.DeepCopy()
	return pinned
}

// annotate returns a copy of a Deployment with the annotations that FindUpdate compares.
func annotate(workload *appsv1.Deployment, templateHash, origin string) *appsv1.Deployment {
	annotated := workload.DeepCopy()
	annotated.Annotations = map[string]string{
		templateHashAnnotation: templateHash, specGenerationAnnotation: origin,
	}
	return annotated
}

// describeUpdate names the Deployment and, if it changes, the image: the part of a template that users know.
func describeUpdate(desired, live *appsv1.Deployment) string {
	name, image := KeyOf(desired).String(), imageOf(desired)
	if image == imageOf(live) {
		return name
	}
	return name + " with image " + image
}

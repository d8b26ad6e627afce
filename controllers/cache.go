package controllers

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// CacheOptions returns options for a cache that holds only RoseyBots and the objects that carry the operator's label,
// so that its size does not depend on the size of the cluster. Without namespaces, the cache covers all of them.
func CacheOptions(namespaces []string) cache.Options {
	selector := labels.SelectorFromSet(labels.Set{manifests.LabelManagedBy: manifests.ManagedBy})
	options := cache.Options{ByObject: map[client.Object]cache.ByObject{}, DefaultNamespaces: map[string]cache.Config{}}
	options.DefaultTransform = func(object any) (any, error) {
		trim(object)
		return object, nil
	}
	for _, kind := range kinds {
		options.ByObject[kind.object] = cache.ByObject{Label: selector}
	}
	for _, namespace := range namespaces {
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	return options
}

// CheckAccess returns an error if the API server forbids to read objects of some kind that the operator needs in a
// namespace. Other errors are temporary and are ignored.
func CheckAccess(ctx context.Context, reader client.Reader, namespace string) error {
	lists := []client.ObjectList{&v1alpha1.RoseyBotList{}}
	for _, kind := range kinds {
		lists = append(lists, kind.list)
	}
	for _, list := range lists {
		list, _ := list.DeepCopyObject().(client.ObjectList)
		err := reader.List(ctx, list, client.InNamespace(namespace), client.Limit(1))
		if apierrors.IsForbidden(err) {
			return fmt.Errorf("reading namespace %s: %w", namespace, err)
		}
	}
	return nil
}

// What the cache keeps of one object, in bytes of memory. Everybody who may create RoseyBots, or objects with the
// operator's label, could otherwise fill the operator's memory with a few of them: the API server accepts objects of
// more than 1 MB, and a list with elements of ten bytes takes twenty times as much memory as its text.
const (
	// maxBotMemory is for a RoseyBot. What the operator builds from one takes little more.
	maxBotMemory = 100 << 10
	// maxObjectMemory is for an object that belongs to a RoseyBot, with what others have added to it, and for a status.
	maxObjectMemory = 200 << 10
	// maxCachedText is for one text in the metadata of an object.
	maxCachedText = 512
	// maxCachedFinalizers is how many finalizers a message names.
	maxCachedFinalizers = 3
)

// trim removes from an object what no reconcile reads. It has no effect on an object that is trimmed already.
func trim(object any) {
	cached, isObject := object.(client.Object)
	if !isObject {
		return // what is left of a deleted object was trimmed before
	}
	trimMetadata(cached)
	switch object := cached.(type) {
	case *v1alpha1.RoseyBot:
		trimBot(object)
		return
	case *corev1.Pod:
		trimPod(object)
		return
	case *corev1.ConfigMap:
		object.BinaryData = nil
		component := manifests.Component(object.Labels[manifests.LabelComponent])
		maps.DeleteFunc(object.Data, func(file, _ string) bool { return !manifests.IsConfigFile(component, file) })
	case *corev1.PersistentVolumeClaim:
		object.Spec.Selector = nil
	case *appsv1.Deployment:
		trimDeployment(object)
	case *corev1.Service:
		object.Spec = corev1.ServiceSpec{
			Ports: object.Spec.Ports, Selector: object.Spec.Selector,
			PublishNotReadyAddresses: object.Spec.PublishNotReadyAddresses,
		}
		object.Status = corev1.ServiceStatus{}
	}
	switch {
	case isTooLarge(cached):
	case !mayBelong(cached):
		reduce(cached)
	case !fits(cached, maxObjectMemory):
		reduce(cached)
		markTooLarge(cached)
	default:
		shareParts(cached)
	}
}

// cachedLabels and cachedAnnotations are those that the operator writes or reads.
var (
	cachedLabels      = append(manifests.Labels(), appsv1.DefaultDeploymentUniqueLabelKey)
	cachedAnnotations = append(manifests.Annotations(), desiredHashAnnotation, v1alpha1.TakeOverAnnotation, tooLargeMark)
)

// trimMetadata removes what others may add to metadata without limit. The rest is read from the API server before a
// write, as the managed fields are.
func trimMetadata(object client.Object) {
	kept := metav1.ObjectMeta{
		Name: object.GetName(), Namespace: object.GetNamespace(), UID: object.GetUID(),
		ResourceVersion: object.GetResourceVersion(), Generation: object.GetGeneration(),
		CreationTimestamp: object.GetCreationTimestamp(), DeletionTimestamp: object.GetDeletionTimestamp(),
	}
	for _, key := range cachedLabels {
		if value, found := object.GetLabels()[key]; found {
			metav1.SetMetaDataLabel(&kept, key, value)
		}
	}
	for _, key := range cachedAnnotations {
		if text, found := object.GetAnnotations()[key]; found && len(text) <= maxCachedText {
			metav1.SetMetaDataAnnotation(&kept, key, text)
		}
	}
	if owner := metav1.GetControllerOf(object); owner != nil {
		owner.APIVersion, owner.Kind, owner.Name = cut(owner.APIVersion), cut(owner.Kind), cut(owner.Name)
		owner.UID = types.UID(cut(string(owner.UID)))
		kept.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	shareMetadata(&kept)
	if finalizers := object.GetFinalizers(); kept.DeletionTimestamp != nil {
		for _, finalizer := range finalizers[:min(len(finalizers), maxCachedFinalizers)] {
			kept.Finalizers = append(kept.Finalizers, cut(finalizer))
		}
	}
	reflect.ValueOf(object).Elem().FieldByName("ObjectMeta").Set(reflect.ValueOf(kept))
}

func cut(text string) string {
	if len(text) > maxCachedText {
		return strings.Clone(text[:maxCachedText]) // a part would keep the whole in memory
	}
	return text
}

// trimBot removes from a RoseyBot what the operator does not read, and from one that is too large all fields whose size
// the schema does not bound. What remains suffices for what other RoseyBots need to know of it.
func trimBot(bot *v1alpha1.RoseyBot) {
	if !fits(&bot.Status, maxObjectMemory) {
		bot.Status = v1alpha1.RoseyBotStatus{} // the operator did not write it, and will
	}
	for i := range bot.Status.Conditions {
		one := &bot.Status.Conditions[i]
		one.Type, one.Reason = unique.Make(one.Type).Value(), unique.Make(one.Reason).Value()
		one.Status, one.Message = unique.Make(one.Status).Value(), unique.Make(one.Message).Value()
	}
	if !isTooLarge(bot) && fits(&bot.Spec, maxBotMemory) {
		return
	}
	spec := &bot.Spec
	spec.ImagePullSecrets, spec.ExtraEnv, spec.PodSecurityContext = nil, nil, nil
	spec.Resources, spec.Scheduling = corev1.ResourceRequirements{}, v1alpha1.Scheduling{}
	spec.PodMetadata, spec.NetworkPolicy.Egress = v1alpha1.PodMetadata{}, nil
	if spec.Database != nil {
		spec.Database.Resources = corev1.ResourceRequirements{}
	}
	if spec.Web != nil {
		spec.Web.Resources, spec.Web.AllowFrom = corev1.ResourceRequirements{}, nil
	}
	spec.Commands, spec.Plugins, spec.PluginHost = v1alpha1.Commands{}, nil, v1alpha1.PluginHost{}
	markTooLarge(bot)
}

// trimPod leaves of a pod its state, and whether it mounts the claim of its RoseyBot.
func trimPod(pod *corev1.Pod) {
	claim := manifests.ClaimName(&v1alpha1.RoseyBot{ObjectMeta: metav1.ObjectMeta{
		Name: pod.Labels[manifests.LabelRoseyBot],
	}})
	var volumes []corev1.Volume
	for i := range pod.Spec.Volumes {
		if source := pod.Spec.Volumes[i].PersistentVolumeClaim; source != nil && source.ClaimName == claim {
			volumes = []corev1.Volume{{Name: claim, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: source}}}
			break
		}
	}
	pod.Spec = corev1.PodSpec{NodeName: pod.Spec.NodeName, Volumes: volumes}
	if (manifests.ReadServedChannel(pod.Annotations) == manifests.ServedChannel{}) {
		pod.Annotations = nil
	}
	var conditions []corev1.PodCondition
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.ContainersReady, corev1.PodReady} {
		if one := podCondition(pod, kind); one.Type != "" {
			conditions = append(conditions, corev1.PodCondition{
				Type: kind, Status: one.Status, Message: one.Message, LastTransitionTime: one.LastTransitionTime,
			})
		}
	}
	pod.Status = corev1.PodStatus{
		Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: pod.Status.Message, PodIP: pod.Status.PodIP,
		Conditions:            conditions,
		InitContainerStatuses: trimContainers(pod.Status.InitContainerStatuses),
		ContainerStatuses:     trimContainers(pod.Status.ContainerStatuses),
	}
	if !fits(&pod.Status, maxObjectMemory) {
		pod.Status = corev1.PodStatus{Phase: pod.Status.Phase}
	}
}

func trimContainers(all []corev1.ContainerStatus) (kept []corev1.ContainerStatus) {
	for i := range all {
		one := &all[i]
		kept = append(kept, corev1.ContainerStatus{
			Name: one.Name, Image: one.Image, State: one.State, LastTerminationState: one.LastTerminationState,
			Ready: one.Ready, Started: one.Started, RestartCount: one.RestartCount,
		})
	}
	return kept
}

// trimDeployment leaves of the conditions of a Deployment whether it makes progress, and why pods are refused.
func trimDeployment(deployment *appsv1.Deployment) {
	all := deployment.Status.Conditions
	deployment.Status.Conditions = nil
	for _, one := range all {
		switch one.Type {
		case appsv1.DeploymentProgressing:
			one.Reason, one.Message = "", ""
		case appsv1.DeploymentReplicaFailure:
		default:
			continue
		}
		deployment.Status.Conditions = append(deployment.Status.Conditions, one)
	}
}

// mayBelong reports whether an object may belong to the RoseyBot that its label names, so that the operator compares it
// with what it builds. Others are only reported, or made the RoseyBot's: for that their metadata suffices.
func mayBelong(object client.Object) bool {
	owner, name := metav1.GetControllerOfNoCopy(object), object.GetLabels()[manifests.LabelRoseyBot]
	if owner == nil {
		_, isClaim := object.(*corev1.PersistentVolumeClaim)
		return isClaim && name != ""
	}
	// The garbage collector deletes what names an owner that does not exist, unless it does not know its group.
	group, _, _ := strings.Cut(owner.APIVersion, "/")
	return group == v1alpha1.GroupVersion.Group && owner.Kind == v1alpha1.RoseyBotKind && owner.Name == name
}

// reduce leaves of an object its metadata, and of a Deployment what says whether pods of it may run.
func reduce(object client.Object) {
	deployment, isDeployment := object.(*appsv1.Deployment)
	var kept appsv1.Deployment
	if isDeployment {
		kept.Spec.Replicas, kept.Spec.Strategy.Type = deployment.Spec.Replicas, deployment.Spec.Strategy.Type
		kept.Status = deployment.Status
		kept.Status.Conditions = nil
	}
	for _, field := range reflect.ValueOf(object).Elem().Fields() {
		switch field.Interface().(type) {
		case metav1.TypeMeta, metav1.ObjectMeta:
		default:
			field.SetZero()
		}
	}
	if isDeployment {
		deployment.Spec, deployment.Status = kept.Spec, kept.Status
	}
}

// tooLargeMark is an annotation of objects in the cache of which only a part is kept. The API server accepts no
// annotation with such a key, so nobody else can set it.
const tooLargeMark = "(too large)"

func markTooLarge(object client.Object) { annotate(object, tooLargeMark, "") }

func isTooLarge(object client.Object) bool {
	_, marked := object.GetAnnotations()[tooLargeMark]
	return marked
}

// tooLarge returns the problem of an object of which only a part is cached, so that it can neither be built from nor
// compared.
func tooLarge(name string, limit int, advice string) *problem {
	message := fmt.Sprintf("%s takes more than %d KiB of memory: %s", name, limit>>10, advice)
	return &problem{reason: v1alpha1.ReasonTooLarge, message: message}
}

// fits reports whether what a pointer points to takes at most a number of bytes of memory.
func fits(pointer any, limit int) bool {
	return spend(reflect.ValueOf(pointer), &limit)
}

// spend subtracts from a budget the memory that a value refers to. It ends with false when nothing is left.
func spend(value reflect.Value, budget *int) bool {
	if *budget < 0 || value.Type() == reflect.TypeFor[time.Time]() { // a time refers to its zone, which all share
		return *budget >= 0
	}
	switch value.Kind() {
	case reflect.String:
		*budget -= value.Len()
	case reflect.Pointer, reflect.Interface:
		spendElement(value.Elem(), budget)
	case reflect.Slice:
		*budget -= value.Len() * int(value.Type().Elem().Size())
		for i := range value.Len() {
			spend(value.Index(i), budget)
		}
	case reflect.Map:
		for entry := value.MapRange(); entry.Next(); {
			spendElement(entry.Key(), budget)
			spendElement(entry.Value(), budget)
		}
	case reflect.Struct:
		for _, field := range value.Fields() {
			spend(field, budget)
		}
	default: // it refers to nothing
	}
	return *budget >= 0
}

// spendElement subtracts a value that is stored apart, if there is one, and what it refers to.
func spendElement(value reflect.Value, budget *int) {
	if !value.IsValid() {
		return
	}
	*budget -= int(value.Type().Size())
	spend(value, budget)
}

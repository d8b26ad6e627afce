package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"rosey.dev/rosey/controllers/manifests"
)

// withHash returns a copy of a desired object with its hash.
func withHash(desired client.Object) client.Object {
	wanted, _ := desired.DeepCopyObject().(client.Object)
	annotate(wanted, desiredHashAnnotation, manifests.DesiredHash(desired))
	return wanted
}

func annotate(object client.Object, key, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	object.SetAnnotations(annotations)
}

// toContent returns an object as it is applied: without status.
func toContent(wanted client.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(wanted)
	if err != nil {
		return nil, fmt.Errorf("converting: %w", err)
	}
	delete(content, "status")
	return &unstructured.Unstructured{Object: content}, nil
}

// pausedField stops the rollout of a Deployment. No desired object has it, because the zero value is not written.
var pausedField = fieldpath.MakePathOrDie("spec", "paused")

// differences returns the fields of content that a live object has otherwise. Lists are compared by their keys, as the
// API server does, so fields and items that it or others added are no difference, except that a rollout is paused.
func (r *Reconciler) differences(live client.Object, content *unstructured.Unstructured) (*fieldpath.Set, error) {
	desiredFields, desiredErr := r.Types.ObjectToTyped(content)
	liveFields, liveErr := r.Types.ObjectToTyped(live, typed.AllowDuplicates)
	if err := errors.Join(desiredErr, liveErr); err != nil {
		return nil, fmt.Errorf("reading the fields: %w", err)
	}
	difference, err := desiredFields.Compare(liveFields)
	if err != nil {
		return nil, fmt.Errorf("comparing with the live object: %w", err)
	}
	differs := difference.Removed.Union(difference.Modified)
	if deployment, isDeployment := live.(*appsv1.Deployment); isDeployment && deployment.Spec.Paused {
		differs.Insert(pausedField)
	}
	return differs, nil
}

// readLive reads an object from the API server. The cache holds no managed fields, and no object without the operator's
// label.
func (r *Reconciler) readLive(ctx context.Context, desired client.Object) (client.Object, error) {
	gvk := desired.GetObjectKind().GroupVersionKind()
	empty, err := r.Client.Scheme().New(gvk)
	live, isObject := empty.(client.Object)
	if err != nil || !isObject {
		return nil, fmt.Errorf("reading an object of kind %s: %w", gvk.Kind, err)
	}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(desired), live); err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	live.GetObjectKind().SetGroupVersionKind(gvk)
	return live, nil
}

// update writes the content of a desired object over a live one that differs. It returns the live object as it was just
// before, or nil if another one has replaced it; content becomes what the API server has made of it.
func (r *Reconciler) update(
	ctx context.Context, desired, live client.Object, content *unstructured.Unstructured,
) (before client.Object, _ error) {
	current, err := r.readLive(ctx, desired)
	if err != nil || current.GetUID() != live.GetUID() {
		return nil, err // another object has replaced it; the next reconcile checks its owner
	}
	before, _ = current.DeepCopyObject().(client.Object)
	if err := r.handOverReplicas(ctx, desired, current); err != nil {
		return nil, err
	}
	if err := r.upgradeManagedFields(ctx, current); err != nil {
		return nil, err
	}
	// Without the UID, the apply would create the object again if it was deleted in the meantime, or change another
	// object of the same name.
	content.SetUID(live.GetUID())
	apply := func() error {
		return r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(content), fieldOwner, client.ForceOwnership)
	}
	err = apply()
	if apierrors.IsInvalid(err) && r.replaceContent(ctx, current, content) == nil {
		err = apply() // a conflict if the object was deleted
	}
	if err != nil {
		return nil, fmt.Errorf("applying: %w", err)
	}
	return before, nil
}

// replaceContent writes the content of a live object as a whole. An apply leaves the fields that others own, and some
// exclude those of the operator: an environment variable has either a value or a source, a volume and a probe are of
// one kind, and a strategy that a user set to RollingUpdate has parameters that Recreate must not have. An immutable
// ConfigMap is deleted, and the next reconcile creates it again.
func (r *Reconciler) replaceContent(ctx context.Context, live client.Object, content *unstructured.Unstructured) error {
	now, err := toContent(live)
	if err != nil {
		return err
	}
	switch object := live.(type) {
	case *corev1.PersistentVolumeClaim:
		return errors.New("it may hold rows")
	case *corev1.ConfigMap:
		if ptr.Deref(object.Immutable, false) {
			if err := r.Client.Delete(ctx, live, client.Preconditions{UID: new(live.GetUID())}); err != nil {
				return fmt.Errorf("deleting it, which is immutable: %w", err)
			}
			return nil
		}
	}
	patch, err := json.Marshal(replacements(now.Object, content.DeepCopy().Object))
	if err == nil {
		err = r.Client.Patch(ctx, live, client.RawPatch(types.JSONPatchType, patch), fieldOwner)
	}
	if err != nil {
		return fmt.Errorf("replacing its content: %w", err)
	}
	return r.upgradeManagedFields(ctx, live)
}

// replacements returns a JSON patch that makes another object of one, with the same metadata and, unless the other one
// sets it, the same number of replicas: an autoscaler does.
func replacements(now, next map[string]any) (operations []map[string]any) {
	replicas := []string{"spec", "replicas"}
	number, exists, _ := unstructured.NestedFieldNoCopy(now, replicas...)
	if _, isDesired, _ := unstructured.NestedFieldNoCopy(next, replicas...); exists && !isDesired {
		_ = unstructured.SetNestedField(next, number, replicas...)
	}
	next["metadata"] = now["metadata"] // its resourceVersion makes this a conflict if the object has changed
	for field := range now {
		if _, isDesired := next[field]; !isDesired {
			operations = append(operations, map[string]any{"op": "remove", "path": "/" + field})
		}
	}
	for field, value := range next {
		operations = append(operations, map[string]any{"op": "add", "path": "/" + field, "value": value})
	}
	return operations
}

// handOverReplicas gives the number of replicas of a Deployment another field owner before an autoscaler takes it over.
// A field whose last owner drops it falls back to its default, which is 1 replica.
func (r *Reconciler) handOverReplicas(ctx context.Context, desired, live client.Object) error {
	next, isDeployment := desired.(*appsv1.Deployment)
	now, exists := live.(*appsv1.Deployment)
	if !isDeployment || !exists || next.Spec.Replicas != nil || !ownsReplicas(now) {
		return nil
	}
	// The resourceVersion makes this a conflict if the Deployment has changed since it was read.
	patch := fmt.Appendf(nil, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"resourceVersion":%q},`+
		`"spec":{"replicas":%d}}`, now.ResourceVersion, *now.Spec.Replicas)
	if err := r.Client.Patch(ctx, now, client.RawPatch(types.ApplyPatchType, patch), scaleOwner,
		client.ForceOwnership); err != nil {
		return fmt.Errorf("handing over the number of replicas: %w", err)
	}
	return nil
}

// ownsReplicas reports whether the operator owns the number of replicas.
func ownsReplicas(deployment *appsv1.Deployment) bool {
	return slices.ContainsFunc(deployment.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == string(fieldOwner) && strings.Contains(entry.FieldsV1.GetRawString(), `"f:replicas":{}`)
	})
}

// upgradeManagedFields makes the field owner of server-side apply own the fields that the POST wrote. Otherwise they
// would have two owners, and a field that is no longer desired would stay.
func (r *Reconciler) upgradeManagedFields(ctx context.Context, live client.Object) error {
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(live, sets.New(string(fieldOwner)), string(fieldOwner))
	if err == nil && patch != nil {
		err = r.Client.Patch(ctx, live, client.RawPatch(types.JSONPatchType, patch), fieldOwner)
	}
	if err != nil {
		return fmt.Errorf("upgrading the managed fields: %w", err)
	}
	return nil
}

// A write of a Deployment may change nothing about its pods, but only labels or annotations, for example when the
// operator was upgraded, or when somebody else adds one. It gives the Deployment a new generation all the same. Without
// the functions below the RoseyBot would then not be ready until the Deployment controller has seen that generation.

// keepsPods reports whether writing a desired object, which differs from the live one in some fields, changes nothing
// about the pods of a Deployment whose status is up to date.
func keepsPods(live, desired client.Object, differs *fieldpath.Set) bool {
	before, isDeployment := live.(*appsv1.Deployment)
	after, _ := desired.(*appsv1.Deployment)
	return isDeployment && before.Status.ObservedGeneration >= before.Generation &&
		manifests.SameRollout(after, before) && !changesPods(differs)
}

// changesPods reports whether one of the fields of a Deployment is about its pods. The template can differ although the
// hash of what it was built from does not: somebody else may have changed it.
func changesPods(fields *fieldpath.Set) (changes bool) {
	fields.Leaves().Iterate(func(path fieldpath.Path) {
		for _, aboutPods := range []string{".spec.template", ".spec.replicas", ".spec.strategy", pausedField.String()} {
			changes = changes || strings.HasPrefix(path.String(), aboutPods)
		}
	})
	return changes
}

// seenDeployment is a Deployment as its controller has seen it.
type seenDeployment struct {
	uid        types.UID
	generation int64
	pods       string // a hash of what is about its pods
}

// adoptGenerations makes the status of each Deployment count for its last generation, if nothing about its pods has
// changed since its controller saw it.
func (m *memory) adoptGenerations(found observed) {
	var seen []seenDeployment
	for key, object := range found.Objects {
		live, isDeployment := object.(*appsv1.Deployment)
		if !isDeployment {
			continue
		}
		pods := manifests.Hash([]any{live.Spec.Template, live.Spec.Replicas, live.Spec.Strategy})
		now := seenDeployment{live.UID, live.Status.ObservedGeneration, pods}
		isLate := live.Status.ObservedGeneration < live.Generation
		if isLate && !slices.Contains(m.seen, now) {
			continue
		}
		if seen = append(seen, now); isLate {
			live = live.DeepCopy()
			live.Status.ObservedGeneration = live.Generation
			found.Objects[key] = live
		}
	}
	m.seen = seen
}

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"rosey.dev/rosey/controllers/manifests"
)

// fieldOwner owns every field that the operator writes.
const fieldOwner = client.FieldOwner("rosey-operator")

// scaleOwner owns the number of pods until an autoscaler sets it.
const scaleOwner = client.FieldOwner("rosey-operator-scale")

// desiredHashAnnotation holds a hash of the object as it was last sent. It differs when a field was dropped, which a
// comparison with the live object cannot see.
const desiredHashAnnotation = "rosey.dev/desired-hash"

// wanted is an object as it is sent: without status, with the hash of itself.
func wanted(desired client.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return nil, fmt.Errorf("converting: %w", err)
	}
	delete(content, "status")
	hash := manifests.Hash(content)
	if err := unstructured.SetNestedField(content, hash, "metadata", "annotations", desiredHashAnnotation); err != nil {
		return nil, fmt.Errorf("noting the hash: %w", err)
	}
	return &unstructured.Unstructured{Object: content}, nil
}

// contains says whether a live object has everything that is wanted. Lists are compared by their keys, as the API
// server does, so that what it adds is no difference.
func (r *Reconciler) contains(live client.Object, content *unstructured.Unstructured) (bool, error) {
	want, wantErr := r.Types.ObjectToTyped(content)
	have, haveErr := r.Types.ObjectToTyped(live, typed.AllowDuplicates)
	if err := errors.Join(wantErr, haveErr); err != nil {
		return false, fmt.Errorf("reading the fields: %w", err)
	}
	difference, err := want.Compare(have)
	if err != nil {
		return false, fmt.Errorf("comparing with the live object: %w", err)
	}
	return difference.Removed.Empty() && difference.Modified.Empty(), nil
}

func (r *Reconciler) create(ctx context.Context, desired client.Object) error {
	content, err := wanted(desired)
	if err != nil {
		return err
	}
	if err := r.Client.Create(ctx, content, fieldOwner); err != nil {
		return fmt.Errorf("creating: %w", err)
	}
	return nil
}

// readLive reads past the cache, which holds neither objects without our labels nor managed fields.
func (r *Reconciler) readLive(ctx context.Context, desired client.Object) (client.Object, error) {
	gvk := desired.GetObjectKind().GroupVersionKind()
	empty, err := r.Client.Scheme().New(gvk)
	live, isObject := empty.(client.Object)
	if err != nil || !isObject {
		return nil, fmt.Errorf("reading a %s: %w", gvk.Kind, err)
	}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(desired), live); err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	live.GetObjectKind().SetGroupVersionKind(gvk)
	return live, nil
}

// update sends nothing where the live object is as desired.
func (r *Reconciler) update(ctx context.Context, desired, live client.Object) (written bool, err error) {
	if claim, isClaim := desired.(*corev1.PersistentVolumeClaim); isClaim {
		desired = manifests.KeepClaim(claim, live)
	}
	content, err := wanted(desired)
	if err != nil {
		return false, err
	}
	if same, err := r.contains(live, content); err != nil || same {
		return false, err
	}
	now, err := r.readLive(ctx, desired)
	if err != nil || now.GetUID() != live.GetUID() {
		return true, err // another one has taken its place: the next pass sees whose
	}
	if err := r.prepare(ctx, desired, now); err != nil {
		return true, err
	}
	if err := r.takeOverCreated(ctx, now); err != nil {
		return true, err
	}
	// With the UID, an object that was deleted meanwhile is not made again by the apply, past the check of its owner.
	content.SetUID(live.GetUID())
	err = r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(content), fieldOwner, client.ForceOwnership)
	if err != nil {
		return true, fmt.Errorf("applying: %w", err)
	}
	return true, nil
}

// prepare does to a Deployment what an apply cannot:
//
//   - a rolling update that somebody chose by hand has parameters that the API server filled in and nobody owns, so
//     they would stay, and they are refused beside Recreate
//   - the number of pods that an autoscaler is to set gets another owner before we drop it: a field that its last
//     owner drops falls back to its default, which is 1 pod
func (r *Reconciler) prepare(ctx context.Context, desired, live client.Object) error {
	want, isDeployment := desired.(*appsv1.Deployment)
	now, exists := live.(*appsv1.Deployment)
	if !isDeployment || !exists {
		return nil
	}
	patch := func(kind types.PatchType, spec string, options ...client.PatchOption) error {
		// The version keeps us from overruling somebody who was faster.
		text := fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"resourceVersion":%q},"spec":%s}`,
			now.ResourceVersion, spec)
		return r.Client.Patch(ctx, now, client.RawPatch(kind, []byte(text)), options...)
	}
	if want.Spec.Strategy.RollingUpdate == nil && now.Spec.Strategy.RollingUpdate != nil {
		spec := `{"strategy":{"type":"Recreate","rollingUpdate":null}}`
		if err := patch(types.MergePatchType, spec, fieldOwner); err != nil {
			return fmt.Errorf("repairing the strategy: %w", err)
		}
	}
	if want.Spec.Replicas == nil && ownsReplicas(now) {
		spec := fmt.Sprintf(`{"replicas":%d}`, *now.Spec.Replicas)
		if err := patch(types.ApplyPatchType, spec, scaleOwner, client.ForceOwnership); err != nil {
			return fmt.Errorf("handing over the number of pods: %w", err)
		}
	}
	return nil
}

func ownsReplicas(deployment *appsv1.Deployment) bool {
	return slices.ContainsFunc(deployment.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == string(fieldOwner) && strings.Contains(entry.FieldsV1.GetRawString(), `"f:replicas":{}`)
	})
}

// takeOverCreated makes the fields that the POST wrote fields of server-side apply. Without it they would have two
// owners, and a field that is no longer desired would stay.
func (r *Reconciler) takeOverCreated(ctx context.Context, live client.Object) error {
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(live, sets.New(string(fieldOwner)), string(fieldOwner))
	if err == nil && patch != nil {
		err = r.Client.Patch(ctx, live, client.RawPatch(types.JSONPatchType, patch), fieldOwner)
	}
	if err != nil {
		return fmt.Errorf("taking over the managed fields: %w", err)
	}
	return nil
}

package controllers

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"rosey.dev/rosey/controllers/manifests"
)

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
	text, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	object := &unstructured.Unstructured{Object: content}
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[desiredHashAnnotation] = manifests.Hash(text)
	object.SetAnnotations(annotations)
	return object, nil
}

// contains says whether a live object has everything that is wanted. Lists are compared by their keys, as the API
// server does, so that what it adds is no difference.
func (r *Reconciler) contains(live client.Object, content *unstructured.Unstructured) (bool, error) {
	want, err := r.Types.ObjectToTyped(content)
	if err != nil {
		return false, fmt.Errorf("reading the desired object: %w", err)
	}
	have, err := r.Types.ObjectToTyped(live, typed.AllowDuplicates)
	if err != nil {
		return false, fmt.Errorf("reading the live object: %w", err)
	}
	difference, err := want.Compare(have)
	if err != nil {
		return false, fmt.Errorf("comparing with the live object: %w", err)
	}
	return difference.Removed.Empty() && difference.Modified.Empty(), nil
}

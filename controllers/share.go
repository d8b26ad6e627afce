package controllers

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// maxSharedMemory is how much memory each generation of shared parts takes at most: enough for the labels and owners
	// of 2,000 RoseyBots. Otherwise whoever creates and deletes objects could fill the memory.
	maxSharedMemory = 4 << 20
	maxSharedPart   = 16 << 10
	// sharedEntry is what remembering a part takes.
	sharedEntry = 128
)

// sharedParts are parts of objects in the cache of which there is one copy, although many objects have them: labels,
// owners, and the containers of all pods with the same settings. Nobody changes what is in the cache. Those that were
// used last are remembered. Package unique is for what can be compared, which slices and maps cannot. It is safe for
// concurrent use.
type sharedParts struct {
	mu            sync.Mutex
	recent, older map[[sha256.Size]byte]any
	memory        int // of recent
}

var parts sharedParts

// use returns a part that was used before under a key, or else this one.
func (s *sharedParts) use(key [sha256.Size]byte, part any, size int) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, found := s.recent[key]; found {
		return known
	}
	if s.memory += size + sharedEntry; s.recent == nil || s.memory > maxSharedMemory {
		s.older, s.recent, s.memory = s.recent, map[[sha256.Size]byte]any{}, size+sharedEntry
	}
	if known, found := s.older[key]; found {
		part = known
	}
	s.recent[key] = part
	return part
}

// share replaces a part of an object by an equal one of another object, if there is one. Whole has only the part.
func share[T any](part *T, whole interface{ Marshal() ([]byte, error) }) {
	left := maxSharedPart
	text, err := whole.Marshal()
	if err != nil || !spend(reflect.ValueOf(part), &left) {
		return
	}
	shared := parts.use(sha256.Sum256(fmt.Appendf(text, "%T", part)), *part, maxSharedPart-left)
	*part, _ = shared.(T)
}

// shareLabels shares labels, or a selector of them.
func shareLabels(labels *map[string]string) { share(labels, &metav1.ObjectMeta{Labels: *labels}) }

func shareSelector(selector *metav1.LabelSelector) {
	if selector != nil {
		shareLabels(&selector.MatchLabels)
	}
}

// shareMetadata shares what the objects of a RoseyBot have alike.
func shareMetadata(object *metav1.ObjectMeta) {
	object.Namespace = unique.Make(object.Namespace).Value()
	shareLabels(&object.Labels)
	share(&object.OwnerReferences, &metav1.ObjectMeta{OwnerReferences: object.OwnerReferences})
}

// shareParts shares what the objects of many RoseyBots have alike.
func shareParts(object client.Object) {
	switch object := object.(type) {
	case *appsv1.Deployment:
		template := &object.Spec.Template
		shareSelector(object.Spec.Selector)
		shareLabels(&template.Labels)
		share(&template.Spec.Containers, &corev1.PodSpec{Containers: template.Spec.Containers})
		share(&template.Spec.SecurityContext, &corev1.PodSpec{SecurityContext: template.Spec.SecurityContext})
		for i := range template.Spec.TopologySpreadConstraints {
			shareSelector(template.Spec.TopologySpreadConstraints[i].LabelSelector)
		}
		template.Spec.Volumes = slices.Clone(template.Spec.Volumes) // decoding left room for more
	case *corev1.PersistentVolumeClaim:
		share(&object.Spec.Resources, &corev1.PersistentVolumeClaimSpec{Resources: object.Spec.Resources})
		share(&object.Status.Capacity, &corev1.PersistentVolumeClaimStatus{Capacity: object.Status.Capacity})
	case *corev1.Service:
		shareLabels(&object.Spec.Selector)
		share(&object.Spec.Ports, &corev1.ServiceSpec{Ports: object.Spec.Ports})
	case *networkingv1.NetworkPolicy:
		shareSelector(&object.Spec.PodSelector)
		share(&object.Spec.Ingress, &networkingv1.NetworkPolicySpec{Ingress: object.Spec.Ingress})
		share(&object.Spec.Egress, &networkingv1.NetworkPolicySpec{Egress: object.Spec.Egress})
	}
}

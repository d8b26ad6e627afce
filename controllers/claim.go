package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// foreignMessage says what somebody can do about an object that has the name of one of the RoseyBot's and does not
// belong to it. A claim may hold the only copy of rows, so nobody is told to delete it.
func foreignMessage(bot *v1alpha1.RoseyBot, live client.Object) string {
	name, owner := manifests.KeyOf(live).String(), metav1.GetControllerOf(live)
	_, isClaim := live.(*corev1.PersistentVolumeClaim)
	switch {
	case owner != nil:
		return fmt.Sprintf("%s belongs to %s %s: give the RoseyBot another name", name, owner.Kind, owner.Name)
	case isClaim:
		return fmt.Sprintf("%s exists without the labels of this RoseyBot and may hold rows, so it is not used; to use it: "+
			"kubectl label -n %s pvc %s --overwrite %s=%s %s=%s; otherwise give the RoseyBot another name", name,
			bot.Namespace, live.GetName(), manifests.LabelManagedBy, manifests.ManagedBy, manifests.LabelRoseyBot, bot.Name)
	}
	return name + " exists and does not belong to this RoseyBot: give the RoseyBot another name, or remove the object " +
		"if nothing needs it"
}

// refuse returns a problem if a live object must not be written. changed reports whether it was deleted instead.
func (r *Reconciler) refuse(
	ctx context.Context, bot *v1alpha1.RoseyBot, live client.Object,
) (changed bool, _ *problem) {
	if refused := checkOwnership(bot, live, r.now()); refused != nil {
		return false, refused
	}
	if isTooLarge(live) {
		return false, tooLarge(manifests.KeyOf(live).String(), maxObjectMemory, "remove what others have added to it")
	}
	return r.replaceClaim(ctx, bot, live)
}

// replaceClaim deletes a claim that never got a volume, so that it is created again as the spec asks now: what cannot
// be changed about a claim can be taken back while nothing is stored. replaced is false for other objects.
func (r *Reconciler) replaceClaim(
	ctx context.Context, bot *v1alpha1.RoseyBot, live client.Object,
) (replaced bool, _ *problem) {
	claim, isClaim := live.(*corev1.PersistentVolumeClaim)
	if !isClaim || !manifests.ReplacesClaim(bot, claim) {
		return false, nil
	}
	// The resourceVersion makes this a conflict if the claim got a volume meanwhile.
	err := r.Client.Delete(ctx, claim, client.Preconditions{
		UID: new(claim.UID), ResourceVersion: new(claim.ResourceVersion),
	})
	if err != nil {
		return true, writeProblem(claim, fmt.Errorf("deleting it, which has no volume: %w", err), false)
	}
	return true, &problem{
		reason:  v1alpha1.ReasonProgressing,
		message: manifests.KeyOf(claim).String() + " has no volume and is created again as the spec asks",
	}
}

// explainClaim adds to an error of writing a claim what the spec can ask for.
func explainClaim(bot *v1alpha1.RoseyBot, desired, live client.Object, err error) error {
	next, isClaim := desired.(*corev1.PersistentVolumeClaim)
	now, exists := live.(*corev1.PersistentVolumeClaim)
	if !isClaim || !exists || !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		return err
	}
	asked, has := claimSize(next), claimSize(now)
	spec, found := manifests.FindClaim(bot, next.Name)
	if asked == has || !found {
		return err
	}
	return fmt.Errorf("it cannot change from %s to %s: set %s.size back to %s, or use a storage class that "+
		"lets volumes grow (this one is %s): %w", has, asked, spec.Field, has, className(now), err)
}

func claimSize(claim *corev1.PersistentVolumeClaim) string {
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	return size.String()
}

func className(claim *corev1.PersistentVolumeClaim) string {
	if name := ptr.Deref(claim.Spec.StorageClassName, ""); name != "" {
		return name
	}
	return "none"
}

// claimsNotes says, after a semicolon each, what about the claims differs from the spec and stays so, and what is wrong
// with them although they are used.
func claimsNotes(in statusInput) string {
	var notes []string
	for _, spec := range manifests.Claims(in.bot) {
		if claim := in.claim(spec.Name); claim != nil {
			notes = append(notes, claimNotes(spec, claim)...)
		}
	}
	if len(notes) == 0 {
		return ""
	}
	return "; " + strings.Join(notes, "; ")
}

func claimNotes(spec manifests.ClaimSpec, claim *corev1.PersistentVolumeClaim) (notes []string) {
	if class := spec.StorageClass; class != nil && *class != ptr.Deref(claim.Spec.StorageClassName, "") {
		notes = append(notes, spec.Title+" has storage class "+className(claim)+", which cannot be changed")
	}
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if spec.Size != nil && spec.Size.Cmp(size) < 0 {
		notes = append(notes, spec.Title+" has "+size.String()+", and a claim cannot shrink")
	}
	if !slices.ContainsFunc(claim.Spec.AccessModes, func(mode corev1.PersistentVolumeAccessMode) bool {
		return mode != corev1.ReadOnlyMany
	}) {
		notes = append(notes, spec.Title+" can only be read, expected the access mode ReadWriteOnce")
	}
	if claim.DeletionTimestamp != nil {
		notes = append(notes, spec.Title+" is being deleted")
	}
	for _, condition := range claim.Status.Conditions {
		failed := condition.Type == corev1.PersistentVolumeClaimControllerResizeError ||
			condition.Type == corev1.PersistentVolumeClaimNodeResizeError
		if failed && condition.Status == corev1.ConditionTrue {
			notes = append(notes, spec.Title+" cannot be resized: "+condition.Message)
		}
	}
	return notes
}

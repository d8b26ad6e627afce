package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// directories provisions volumes as directories below root, each named after its PersistentVolume.
type directories struct{ root string }

// Provision creates the directory of a claim's volume. It needs the node that the scheduler chose, so the StorageClass
// must use WaitForFirstConsumer.
func (d directories) Provision(
	_ context.Context, o controller.ProvisionOptions,
) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if o.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("a claim with a selector is not supported")
	}
	if o.SelectedNodeName == "" {
		return nil, controller.ProvisioningFinished,
			errors.New("the claim has no selected node: the StorageClass needs volumeBindingMode WaitForFirstConsumer")
	}
	dir := filepath.Join(d.root, o.PVName)
	if err := makeWritableForAll(dir); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			MountOptions:                  o.StorageClass.MountOptions,
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}},
			NodeAffinity:           onlyOn(o.SelectedNodeName),
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes the directory of a released volume with everything in it.
func (d directories) Delete(_ context.Context, pv *corev1.PersistentVolume) error {
	dir := filepath.Join(d.root, pv.Name)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing volume directory %s: %w", dir, err)
	}
	return nil
}

// makeWritableForAll creates a directory that every user may write to: without fsGroup a pod could not write to a
// volume of root's. The umask restricts the mode given to MkdirAll, hence the second call.
func makeWritableForAll(dir string) error {
	//nolint:gosec // writable for all on purpose, see above
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("creating volume directory: %w", err)
	}
	//nolint:gosec // the same
	if err := os.Chmod(dir, 0o777); err != nil {
		return fmt.Errorf("making volume directory writable for all users: %w", err)
	}
	return nil
}

func onlyOn(node string) *corev1.VolumeNodeAffinity {
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{
				Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			}},
		}},
	}}
}

package manifests

import (
	corev1 "k8s.io/api/core/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// mount adds a volume to a pod and to its container. All but data are read only.
func mount(pod *corev1.PodSpec, name, path string, source corev1.VolumeSource) {
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, corev1.VolumeMount{
		Name: name, MountPath: path, ReadOnly: source.PersistentVolumeClaim == nil,
	})
}

func mountAll(pod *corev1.PodSpec, bot *v1alpha1.RoseyBot, component Component, file string) {
	configuration := &corev1.ConfigMapVolumeSource{Items: []corev1.KeyToPath{{Key: file, Path: file}}}
	configuration.Name = configMapName(bot)
	mount(pod, "config", config.ConfigDir, corev1.VolumeSource{ConfigMap: configuration})
	if component == Database {
		data := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: DatabaseName(bot)}
		mount(pod, "data", config.DataDir, corev1.VolumeSource{PersistentVolumeClaim: data})
		return
	}
	if account := bot.Spec.Account; account != nil && account.PasswordSecretRef != nil {
		mountSecret(pod, "account", config.AccountSecretDir, account.PasswordSecretRef)
	}
	if ref := bot.Spec.Channel.PasswordSecretRef; ref != nil {
		mountSecret(pod, "channel", config.ChannelSecretDir, ref)
	}
}

// mountSecret makes the Secret optional, so that the pod starts without it and says what is missing; and mounts a
// whole folder, because the kubelet does not update a file that is mounted by subPath.
func mountSecret(pod *corev1.PodSpec, name, path string, ref *v1alpha1.SecretKeyRef) {
	mount(pod, name, path, corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: ref.Name,
		Optional:   new(true),
		Items:      []corev1.KeyToPath{{Key: ref.Key, Path: config.SecretFile}},
	}})
}

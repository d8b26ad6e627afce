package manifests

import (
	corev1 "k8s.io/api/core/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// mountedVolume is a volume and where the container sees it.
type mountedVolume struct {
	name     string
	source   corev1.VolumeSource
	path     string
	readOnly bool
}

func split(mounted []mountedVolume) ([]corev1.Volume, []corev1.VolumeMount) {
	var volumes []corev1.Volume
	var mounts []corev1.VolumeMount
	for _, one := range mounted {
		volumes = append(volumes, corev1.Volume{Name: one.name, VolumeSource: one.source})
		mounts = append(mounts, corev1.VolumeMount{Name: one.name, MountPath: one.path, ReadOnly: one.readOnly})
	}
	return volumes, mounts
}

func configVolume(bot *v1alpha1.RoseyBot, file string) mountedVolume {
	source := &corev1.ConfigMapVolumeSource{Items: []corev1.KeyToPath{{Key: file, Path: file}}}
	source.Name = configMapName(bot)
	return mountedVolume{
		name: "config", path: config.ConfigDir, readOnly: true,
		source: corev1.VolumeSource{ConfigMap: source},
	}
}

func tmpVolume() mountedVolume {
	return mountedVolume{
		name: "tmp", path: "/tmp",
		source: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
	}
}

func dataVolume(bot *v1alpha1.RoseyBot) mountedVolume {
	return mountedVolume{
		name: "data", path: config.DataDir,
		source: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: DatabaseName(bot)},
		},
	}
}

func secretVolumes(bot *v1alpha1.RoseyBot) []mountedVolume {
	var volumes []mountedVolume
	if account := bot.Spec.Account; account != nil && account.PasswordSecretRef != nil {
		volumes = append(volumes, secretVolume("account", config.AccountSecretDir, account.PasswordSecretRef))
	}
	if ref := bot.Spec.Channel.PasswordSecretRef; ref != nil {
		volumes = append(volumes, secretVolume("channel", config.ChannelSecretDir, ref))
	}
	return volumes
}

// secretVolume is optional, so that the pod starts without the Secret and says what is missing; and a whole folder,
// because the kubelet does not update a file that is mounted by subPath.
func secretVolume(name, path string, ref *v1alpha1.SecretKeyRef) mountedVolume {
	return mountedVolume{
		name: name, path: path, readOnly: true,
		source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: ref.Name,
			Optional:   new(true),
			Items:      []corev1.KeyToPath{{Key: ref.Key, Path: config.SecretFile}},
		}},
	}
}

package manifests

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

func mountAll(pod *corev1.PodSpec, bot *v1alpha1.RoseyBot, params Params, component Component) {
	file := configFile[component]
	configuration := &corev1.ConfigMapVolumeSource{Items: []corev1.KeyToPath{{Key: file, Path: file}}}
	configuration.Name = configMapName(bot)
	mount(pod, "config", config.ConfigDir, corev1.VolumeSource{ConfigMap: configuration})
	if component == Bot {
		if account := bot.Spec.Account; account != nil {
			mountKey(pod, "account", config.AccountSecretDir, account.PasswordSecretRef, config.SecretFile)
		}
		mountKey(pod, "channel", config.ChannelSecretDir, bot.Spec.Channel.PasswordSecretRef, config.SecretFile)
	}
	nats := NATS(bot, params.Owner)
	mountSecret(pod, "nats", config.NATSCredentialsDir, nats.CredentialsSecretRef)
	mountSecret(pod, "nats-tls", config.NATSTLSDir, nats.TLSSecretRef)
	if HoldsClaim(bot, component) {
		data := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: ClaimName(bot)}
		mount(pod, "data", config.DataDir, corev1.VolumeSource{PersistentVolumeClaim: data})
	} else if url := databaseOf(bot).Postgres; url != nil && (opensStore(bot, component) || fallsBack(bot, component)) {
		mountKey(pod, "postgres", config.PostgresSecretDir, &url.URLSecretRef, config.PostgresURLFile)
	}
}

// mountKey mounts one key, by default called like the file.
func mountKey(pod *corev1.PodSpec, name, path string, ref *v1alpha1.SecretKeyRef, file string) {
	if ref != nil {
		secret := &v1alpha1.ObjectRef{Name: ref.Name}
		mountSecret(pod, name, path, secret, corev1.KeyToPath{Key: cmp.Or(ref.Key, file), Path: file})
	}
}

// mountSecret makes the Secret optional, so that the pod starts without it and says what is missing; and mounts a
// whole folder, because the kubelet does not update a file that is mounted by subPath. Without keys it has them all.
func mountSecret(pod *corev1.PodSpec, name, path string, ref *v1alpha1.ObjectRef, keys ...corev1.KeyToPath) {
	if ref != nil {
		source := &corev1.SecretVolumeSource{SecretName: string(ref.Name), Optional: new(true), Items: keys}
		mount(pod, name, path, corev1.VolumeSource{Secret: source})
	}
}

// claim has no owner reference, so that what was said in a channel outlives the RoseyBot, unless it is not to.
func claim(bot *v1alpha1.RoseyBot) *corev1.PersistentVolumeClaim {
	claim := made[corev1.PersistentVolumeClaim](bot, ClaimName(bot), Database)
	sqlite := ptr.Deref(databaseOf(bot).SQLite, v1alpha1.SQLite{})
	if sqlite.RetainPolicy != v1alpha1.DeleteClaim {
		claim.OwnerReferences = nil
	}
	if sqlite.Size != nil {
		claim.Spec.Resources.Requests[corev1.ResourceStorage] = *sqlite.Size
	}
	claim.Spec.StorageClassName = sqlite.StorageClassName
	return claim
}

// KeepClaim returns what may be asked of a claim that exists: a claim cannot shrink nor change its class or access
// modes, and a RoseyBot that takes up the claim of one before it may ask for other ones.
func KeepClaim(desired *corev1.PersistentVolumeClaim, existing client.Object) *corev1.PersistentVolumeClaim {
	kept := desired.DeepCopy()
	live, isClaim := existing.(*corev1.PersistentVolumeClaim)
	if !isClaim {
		return kept
	}
	kept.Spec.AccessModes = live.Spec.AccessModes
	if kept.Spec.StorageClassName != nil {
		kept.Spec.StorageClassName = live.Spec.StorageClassName
	}
	size := live.Spec.Resources.Requests[corev1.ResourceStorage]
	if size.Cmp(kept.Spec.Resources.Requests[corev1.ResourceStorage]) > 0 {
		kept.Spec.Resources.Requests[corev1.ResourceStorage] = size
	}
	return kept
}

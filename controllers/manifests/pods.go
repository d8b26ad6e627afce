package manifests

import (
	"cmp"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// configHashAnnotation changes the pod template when the configuration changes, because a process reads its
// configuration only when it starts.
const configHashAnnotation = "rosey.dev/config-hash"

// configVolume is the volume with the ConfigMap of the configuration. The first of its files is the one whose hash is
// configHashAnnotation.
const configVolume = "config"

// imageGroup is the group of the user that the image runs as.
const imageGroup = int64(65532)

// deployment returns the Deployment of a component. configHash is the hash of its configuration.
func deployment(
	bot *v1alpha1.RoseyBot, params Params, observed Observed, component Component, configHash string,
) *appsv1.Deployment {
	workload := newObject[appsv1.Deployment](bot, Name(bot, component), component)
	workload.Spec.Selector = &metav1.LabelSelector{MatchLabels: Selector(bot, component)}
	template := &workload.Spec.Template
	metadata := podMetadata(bot, component)
	template.Labels = mergeLabels(metadata.Labels, workload.Labels)
	if bot.Spec.Monitoring.PodMonitor == "Never" || !ServesHTTP(bot, component) {
		template.Labels[LabelPodMonitor] = "Never"
	}
	annotations := map[string]string{configHashAnnotation: configHash}
	switch component {
	case Bot:
		maps.Copy(annotations, ServedChannelOf(bot).annotations())
	case Database:
		annotations[pluginKeysAnnotation] = "kept"
	default:
	}
	template.Annotations = mergeLabels(metadata.Annotations, annotations)
	setPodFields(&template.Spec, bot, observed.Owner, component)
	setContainerFields(&template.Spec.Containers[0], bot, observed.Owner, params, component)
	addVolumes(&template.Spec, bot, observed.Owner, component)
	rollOut(workload, bot, component, observed)
	return workload
}

// podMetadata returns the labels and annotations that the spec gives to the pods of a component. A plugin with an image
// has its own: there are some that make others put Secrets into a pod.
func podMetadata(bot *v1alpha1.RoseyBot, component Component) v1alpha1.PodMetadata {
	if PluginName(component) != "" {
		return pluginOf(bot, component).PodMetadata
	}
	return bot.Spec.PodMetadata
}

// mergeLabels returns the labels or annotations of the spec together with those of the operator, which take precedence:
// selectors and the cache depend on them.
func mergeLabels[V ~string](fromSpec map[string]V, fromOperator map[string]string) map[string]string {
	merged := map[string]string{}
	for key, value := range fromSpec {
		merged[key] = string(value)
	}
	maps.Copy(merged, fromOperator)
	return merged
}

func setPodFields(pod *corev1.PodSpec, bot, owner *v1alpha1.RoseyBot, component Component) {
	pod.ServiceAccountName = serviceAccountName(bot, component)
	pod.ImagePullSecrets = bot.Spec.ImagePullSecrets
	overlay(bot.Spec.Scheduling, pod)
	several := component == Bot && mayHaveStandbys(bot, owner) || component != Bot && !MountsClaim(bot, component)
	if len(pod.TopologySpreadConstraints) == 0 && several {
		pod.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: Selector(bot, component)},
			// Without this, a rolling update counts the old pods as well and puts all new pods on one node.
			MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
		}}
	}
	if bot.Spec.PodSecurityContext != nil {
		overlay(bot.Spec.PodSecurityContext, pod.SecurityContext)
	} else if MountsClaim(bot, component) {
		pod.SecurityContext.FSGroup = new(imageGroup)
		// Changing the group of every file whenever a pod starts takes minutes on a large volume.
		pod.SecurityContext.FSGroupChangePolicy = new(corev1.FSGroupChangeOnRootMismatch)
	}
}

func setContainerFields(
	container *corev1.Container, bot, owner *v1alpha1.RoseyBot, params Params, component Component,
) {
	if PluginName(component) == "" {
		overlay(base[string(component)], container)
		container.Image = Image(bot, params)
		container.Env = append(extraEnv(bot, container.Env), container.Env...)
	} else {
		overlay(base[string(status.PluginComponent)], container)
		setPluginFields(container, bot, owner, component)
	}
	if !ServesHTTP(bot, component) {
		withoutHTTP(container)
	}
	own := pluginOf(bot, component)
	container.ImagePullPolicy, container.EnvFrom = bot.Spec.ImagePullPolicy, own.EnvFrom
	resources := own.Resources
	if fromSpec, ofOther := map[Component]corev1.ResourceRequirements{
		Bot: bot.Spec.Resources, Database: databaseOf(bot).Resources, Web: webOf(bot).Resources,
	}[component]; ofOther {
		resources = fromSpec
	}
	// The spec replaces the default as a whole: a request of the spec above the default limit would be refused.
	if len(resources.Requests) > 0 || len(resources.Limits) > 0 || len(resources.Claims) > 0 {
		container.Resources = resources
	}
}

// extraEnv returns the environment variables of the spec, without those that the operator sets. It sets the default of
// fieldRef.apiVersion, which the API server would otherwise add: fieldRef is compared as a whole, so the live object
// would always differ from the desired one.
func extraEnv(bot *v1alpha1.RoseyBot, fromOperator []corev1.EnvVar) []corev1.EnvVar {
	variables := slices.DeleteFunc(bot.Spec.DeepCopy().ExtraEnv, func(variable corev1.EnvVar) bool {
		return slices.ContainsFunc(fromOperator, func(other corev1.EnvVar) bool { return other.Name == variable.Name })
	})
	for _, variable := range variables {
		if source := variable.ValueFrom; source != nil && source.FieldRef != nil {
			source.FieldRef.APIVersion = cmp.Or(source.FieldRef.APIVersion, "v1")
		}
	}
	return variables
}

// addVolumes mounts the configuration, the Secrets that the spec names, and the claim.
func addVolumes(pod *corev1.PodSpec, bot, owner *v1alpha1.RoseyBot, component Component) {
	if file := configFile[component]; file != "" {
		configuration := &corev1.ConfigMapVolumeSource{Items: []corev1.KeyToPath{{Key: file, Path: file}}}
		if component == Bot && mayHaveStandbys(bot, owner) {
			standby := corev1.KeyToPath{Key: config.StandbyFile, Path: config.StandbyFile}
			configuration.Items = append(configuration.Items, standby)
		}
		configuration.Name = configMapName(bot)
		mount(pod, configVolume, config.ConfigDir, corev1.VolumeSource{ConfigMap: configuration})
	}
	mountPluginFiles(pod, bot, component)
	if component == Database {
		list := &corev1.ConfigMapVolumeSource{}
		list.Name = channelListName(bot)
		mount(pod, "channels", config.ChannelsDir, corev1.VolumeSource{ConfigMap: list})
	}
	mountOwnSecrets(pod, bot, component)
	mountSecret(pod, "nats", config.NATSCredentialsDir, NATSCredentials(bot, owner, component))
	mountTLS(pod, bot, owner, component)
	if telemetry := bot.Spec.Telemetry; telemetry != nil && PluginName(component) == "" {
		headers, file := telemetry.HeadersSecretRef, config.TelemetryHeadersFile
		mountSecretKey(pod, "telemetry", config.TelemetrySecretDir, headers, file)
		mountSecret(pod, "telemetry-tls", config.TelemetryTLSDir, telemetry.TLSSecretRef)
	}
	if MountsClaim(bot, component) {
		source := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: ClaimName(bot)}
		mount(pod, "data", config.DataDir, corev1.VolumeSource{PersistentVolumeClaim: source})
		if name := backupsMount(bot); name != "" {
			source := &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}
			mount(pod, "backups", config.BackupsDir, corev1.VolumeSource{PersistentVolumeClaim: source})
		}
	} else if url := databaseOf(bot).Postgres; url != nil && (opensDatabase(bot, component) || fallsBack(bot, component)) {
		mountSecretKey(pod, "postgres", config.PostgresSecretDir, &url.URLSecretRef, config.PostgresURLFile)
	}
}

// mountOwnSecrets mounts the Secrets that only one component needs.
func mountOwnSecrets(pod *corev1.PodSpec, bot *v1alpha1.RoseyBot, component Component) {
	switch component {
	case Bot:
		if account := bot.Spec.Account; account != nil {
			mountSecretKey(pod, "account", config.AccountSecretDir, account.PasswordSecretRef, config.SecretFile)
		}
		mountSecretKey(pod, "channel", config.ChannelSecretDir, bot.Spec.Channel.PasswordSecretRef, config.SecretFile)
	case Web:
		mountSecret(pod, "web-tokens", config.WebTokensDir, webOf(bot).TokensSecretRef)
	default:
	}
}

// mountTLS mounts the certificates for NATS. A web page with a NATS user of its own, and a plugin in any case, has a
// client certificate of its own too: it must not get the key of the others, who may do more.
func mountTLS(pod *corev1.PodSpec, bot, owner *v1alpha1.RoseyBot, component Component) {
	ref, own := NATS(bot, owner).TLSSecretRef, ownCredentials(bot, component)
	if ref == nil || !RunsPlugins(component) && (own == nil || component != Web) {
		mountSecret(pod, "nats-tls", config.NATSTLSDir, ref)
		return
	}
	part := func(secret *v1alpha1.ObjectRef, keys ...string) corev1.VolumeProjection {
		source := &corev1.SecretProjection{Optional: new(true)}
		source.Name = string(secret.Name)
		for _, key := range keys {
			source.Items = append(source.Items, corev1.KeyToPath{Key: key, Path: key})
		}
		return corev1.VolumeProjection{Secret: source}
	}
	sources := []corev1.VolumeProjection{part(ref, config.TLSCAFile)}
	if own != nil {
		sources = append(sources, part(own, config.TLSCertFile, config.TLSKeyFile))
	}
	mount(pod, "nats-tls", config.NATSTLSDir, corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{Sources: sources},
	})
}

// mount adds a volume to a pod and mounts it in its container, read-only unless it is the claim.
func mount(pod *corev1.PodSpec, name, path string, source corev1.VolumeSource) {
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, corev1.VolumeMount{
		Name: name, MountPath: path, ReadOnly: source.PersistentVolumeClaim == nil,
	})
}

// mountSecretKey mounts one key of a Secret as a file. The key's default is the name of the file.
func mountSecretKey(pod *corev1.PodSpec, name, path string, ref *v1alpha1.SecretKeyRef, file string) {
	if ref != nil {
		secret := &v1alpha1.ObjectRef{Name: ref.Name}
		mountSecret(pod, name, path, secret, corev1.KeyToPath{Key: cmp.Or(ref.Key, file), Path: file})
	}
}

// mountSecret mounts keys of a Secret, or all of them if none is given. The Secret is optional, so that a pod starts
// without it and its process reports what is missing. It is mounted as a directory, because the kubelet does not update
// files that are mounted by subPath.
func mountSecret(pod *corev1.PodSpec, name, path string, ref *v1alpha1.ObjectRef, keys ...corev1.KeyToPath) {
	if ref != nil {
		source := &corev1.SecretVolumeSource{SecretName: string(ref.Name), Optional: new(true), Items: keys}
		mount(pod, name, path, corev1.VolumeSource{Secret: source})
	}
}

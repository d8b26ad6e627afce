package manifests

import (
	"cmp"
	"path"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// configHashAnnotation makes a pod template change with its configuration, which a process reads only at its start.
const configHashAnnotation = "rosey.dev/config-hash"

// Replicas is the number of pods of a component that a RoseyBot asks for. The database service has one, since SQLite
// has one writer. It does not follow spec.replicas, because other programs on the bus may ask it while the bot is
// stopped.
func Replicas(bot *v1alpha1.RoseyBot, component Component) int32 {
	switch {
	case ptr.Deref(bot.Spec.Suspend, false):
		return 0
	case component == Bot:
		return ptr.Deref(bot.Spec.Replicas, 1)
	}
	return 1
}

// workload is what differs between the Deployments of the components.
type workload struct {
	component Component
	command   string
	file      string
	resources corev1.ResourceRequirements
	volumes   []mountedVolume
}

func botDeployment(bot *v1alpha1.RoseyBot, params Params, files map[string]string) *appsv1.Deployment {
	return deployment(bot, params, files, workload{
		component: Bot,
		command:   "bot",
		file:      config.BotFile,
		resources: resourcesOr(bot.Spec.Resources, "32Mi", "128Mi"),
		volumes:   secretVolumes(bot),
	})
}

func databaseDeployment(bot *v1alpha1.RoseyBot, params Params, files map[string]string) *appsv1.Deployment {
	resources := corev1.ResourceRequirements{}
	if bot.Spec.Database != nil {
		resources = bot.Spec.Database.Resources
	}
	return deployment(bot, params, files, workload{
		component: Database,
		command:   "db",
		file:      config.DatabaseFile,
		resources: resourcesOr(resources, "64Mi", "256Mi"),
		volumes:   []mountedVolume{dataVolume(bot)},
	})
}

func deployment(bot *v1alpha1.RoseyBot, params Params, files map[string]string, work workload) *appsv1.Deployment {
	labels := componentLabels(bot, work.component)
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: owned(bot, Name(bot, work.component), labels),
		Spec: appsv1.DeploymentSpec{
			Replicas:             new(Replicas(bot, work.component)),
			RevisionHistoryLimit: new(int32(2)),
			// A second pod beside the old one would be a second bot in the channel, or a second writer to the file.
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Selector: &metav1.LabelSelector{MatchLabels: Selector(bot, work.component)},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels: with(bot.Spec.PodMetadata.Labels, labels),
					Annotations: with(bot.Spec.PodMetadata.Annotations,
						map[string]string{configHashAnnotation: Hash([]byte(files[work.file]))}),
				},
				Spec: podSpec(bot, params, work),
			},
		},
	}
}

func podSpec(bot *v1alpha1.RoseyBot, params Params, work workload) corev1.PodSpec {
	volumes, mounts := split(append([]mountedVolume{configVolume(bot, work.file), tmpVolume()}, work.volumes...))
	scheduling := bot.Spec.Scheduling
	return corev1.PodSpec{
		ServiceAccountName:            serviceAccountName(bot),
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(30)),
		ImagePullSecrets:              bot.Spec.ImagePullSecrets,
		SecurityContext:               podSecurity(bot, work.component),
		NodeSelector:                  with(scheduling.NodeSelector, nil),
		Tolerations:                   scheduling.Tolerations,
		Affinity:                      scheduling.Affinity,
		TopologySpreadConstraints:     scheduling.TopologySpreadConstraints,
		PriorityClassName:             scheduling.PriorityClassName,
		Volumes:                       volumes,
		Containers: []corev1.Container{{
			Name:            string(work.component),
			Image:           cmp.Or(bot.Spec.Image, params.Image),
			ImagePullPolicy: bot.Spec.ImagePullPolicy,
			Args:            []string{work.command, "--config", path.Join(config.ConfigDir, work.file)},
			Env:             environment(bot),
			Ports: []corev1.ContainerPort{
				{Name: httpPort, ContainerPort: config.HTTPPort, Protocol: corev1.ProtocolTCP},
			},
			Resources:       work.resources,
			SecurityContext: containerSecurity(),
			StartupProbe:    probe(config.HealthPath, 1, 60),
			LivenessProbe:   probe(config.HealthPath, 10, 6),
			// Two failures: one late answer on a busy node is no outage.
			ReadinessProbe: probe(config.ReadyPath, 2, 2),
			VolumeMounts:   mounts,
			// The last lines of the log become the reason in the RoseyBot's conditions.
			TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		}},
	}
}

// environment writes out the default of a field whose struct the API server replaces as a whole: where it filled the
// default in, the live object would differ from the desired one for ever.
func environment(bot *v1alpha1.RoseyBot) []corev1.EnvVar {
	variables := bot.Spec.DeepCopy().ExtraEnv
	for _, variable := range variables {
		if source := variable.ValueFrom; source != nil && source.FieldRef != nil {
			source.FieldRef.APIVersion = cmp.Or(source.FieldRef.APIVersion, "v1")
		}
	}
	return variables
}

// resourcesOr replaces defaults as a whole: a default limit mixed with a greater request of the user would be refused.
func resourcesOr(given corev1.ResourceRequirements, memoryRequest, memoryLimit string) corev1.ResourceRequirements {
	if len(given.Requests) > 0 || len(given.Limits) > 0 || len(given.Claims) > 0 {
		return given
	}
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("10m"),
			corev1.ResourceMemory: resource.MustParse(memoryRequest),
		},
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memoryLimit)},
	}
}

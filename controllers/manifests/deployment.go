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

// imageGroup is the numeric group of the image's user.
const imageGroup = int64(65532)

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

func deployment(
	bot *v1alpha1.RoseyBot, params Params, files map[string]string, component Component,
) *appsv1.Deployment {
	workload := made[appsv1.Deployment](bot, Name(bot, component), component)
	workload.Spec.Replicas = new(Replicas(bot, component))
	workload.Spec.Selector = &metav1.LabelSelector{MatchLabels: Selector(bot, component)}
	// A second pod beside the old one would be a second bot in the channel, or a second writer to the file.
	workload.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	file, resources := config.BotFile, resourcesOr(bot.Spec.Resources, "32Mi", "128Mi")
	if component == Database {
		file, resources = config.DatabaseFile, resourcesOr(databaseOf(bot).Resources, "64Mi", "256Mi")
	}
	template := &workload.Spec.Template
	template.Labels = with(bot.Spec.PodMetadata.Labels, workload.Labels)
	template.Annotations = with(bot.Spec.PodMetadata.Annotations,
		map[string]string{configHashAnnotation: Hash([]byte(files[file]))})
	schedule(&template.Spec, bot)
	template.Spec.SecurityContext = podSecurity(bot, component)
	container := &template.Spec.Containers[0]
	container.Name = string(component)
	container.Image, container.ImagePullPolicy = cmp.Or(bot.Spec.Image, params.Image), bot.Spec.ImagePullPolicy
	container.Args = []string{commands[component], "--config", path.Join(config.ConfigDir, file)}
	container.Env = environment(bot)
	container.Resources = resources
	mountAll(&template.Spec, bot, component, file)
	return workload
}

// commands are the words after `rosey` that start a component.
var commands = map[Component]string{Bot: "bot", Database: "db"}

func schedule(pod *corev1.PodSpec, bot *v1alpha1.RoseyBot) {
	wanted := bot.Spec.Scheduling
	pod.ServiceAccountName = serviceAccountName(bot)
	pod.ImagePullSecrets = bot.Spec.ImagePullSecrets
	pod.NodeSelector = with(wanted.NodeSelector, nil)
	pod.Tolerations = wanted.Tolerations
	pod.Affinity = wanted.Affinity
	pod.TopologySpreadConstraints = wanted.TopologySpreadConstraints
	pod.PriorityClassName = wanted.PriorityClassName
}

// podSecurity fills in what the restricted Pod Security Standard asks for and a user left out.
func podSecurity(bot *v1alpha1.RoseyBot, component Component) *corev1.PodSecurityContext {
	security := bot.Spec.PodSecurityContext.DeepCopy()
	if security == nil {
		security = &corev1.PodSecurityContext{}
		if component == Database {
			security.FSGroup = new(imageGroup)
			// Changing the group of every file at each start takes minutes on a large volume.
			security.FSGroupChangePolicy = new(corev1.FSGroupChangeOnRootMismatch)
		}
	}
	security.RunAsNonRoot = new(ptr.Deref(security.RunAsNonRoot, true))
	if security.SeccompProfile == nil {
		security.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
	return security
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
	memory := func(size string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(size)}
	}
	given = corev1.ResourceRequirements{Requests: memory(memoryRequest), Limits: memory(memoryLimit)}
	given.Requests[corev1.ResourceCPU] = resource.MustParse("10m")
	return given
}

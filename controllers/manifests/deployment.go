package manifests

import (
	"cmp"
	"path"
	"slices"

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

// What starts a component: the word after `rosey`, and the configuration file.
var (
	command    = map[Component]string{Bot: "bot", Database: "db"}
	configFile = map[Component]string{Bot: config.BotFile, Database: config.DatabaseFile}
)

func deployment(
	bot *v1alpha1.RoseyBot, params Params, files map[string]string, component Component,
) *appsv1.Deployment {
	workload := made[appsv1.Deployment](bot, Name(bot, component), component)
	workload.Spec.Replicas = new(Replicas(bot, component))
	workload.Spec.Selector = &metav1.LabelSelector{MatchLabels: Selector(bot, component)}
	if !severalMayRun(bot, component) {
		workload.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	template := &workload.Spec.Template
	template.Labels = with(bot.Spec.PodMetadata.Labels, workload.Labels)
	template.Annotations = with(bot.Spec.PodMetadata.Annotations,
		map[string]string{configHashAnnotation: Hash([]byte(files[configFile[component]]))})
	schedule(&template.Spec, bot, component)
	template.Spec.SecurityContext = podSecurity(bot, component)
	container := &template.Spec.Containers[0]
	container.Name = string(component)
	container.Image, container.ImagePullPolicy = cmp.Or(bot.Spec.Image, params.Image), bot.Spec.ImagePullPolicy
	container.Args = []string{command[component], "--config", path.Join(config.ConfigDir, configFile[component])}
	container.Env = append(environment(bot, container.Env), container.Env...)
	container.Resources = resourcesOr(bot.Spec.Resources, "32Mi", "128Mi")
	if component == Database {
		container.Resources = resourcesOr(databaseOf(bot).Resources, "64Mi", "256Mi")
	}
	mountAll(&template.Spec, bot, params, component)
	return workload
}

func schedule(pod *corev1.PodSpec, bot *v1alpha1.RoseyBot, component Component) {
	wanted := bot.Spec.Scheduling
	pod.ServiceAccountName = serviceAccountName(bot)
	pod.ImagePullSecrets = bot.Spec.ImagePullSecrets
	pod.NodeSelector = with(wanted.NodeSelector, nil)
	pod.Tolerations = wanted.Tolerations
	pod.Affinity = wanted.Affinity
	pod.TopologySpreadConstraints = wanted.TopologySpreadConstraints
	pod.PriorityClassName = string(wanted.PriorityClassName)
	if len(pod.TopologySpreadConstraints) == 0 && severalMayRun(bot, component) {
		pod.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: Selector(bot, component)},
		}}
	}
}

// podSecurity fills in what the restricted Pod Security Standard asks for and a user left out.
func podSecurity(bot *v1alpha1.RoseyBot, component Component) *corev1.PodSecurityContext {
	security := bot.Spec.PodSecurityContext.DeepCopy()
	if security == nil {
		security = &corev1.PodSecurityContext{}
		if HoldsClaim(bot, component) {
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

// environment is the user's, but for the names of ours. It writes out the default of a field whose struct the API server
// replaces as a whole: where it filled the default in, the live object would differ from the desired one for ever.
func environment(bot *v1alpha1.RoseyBot, ours []corev1.EnvVar) []corev1.EnvVar {
	variables := slices.DeleteFunc(bot.Spec.DeepCopy().ExtraEnv, func(theirs corev1.EnvVar) bool {
		return slices.ContainsFunc(ours, func(one corev1.EnvVar) bool { return one.Name == theirs.Name })
	})
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

package manifests

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// configHashAnnotation makes a pod template change with its configuration, which a process reads only at its start.
const configHashAnnotation = "rosey.dev/config-hash"

// imageGroup is the numeric group of the image's user.
const imageGroup = int64(65532)

var configFile = map[Component]string{Bot: config.BotFile, Database: config.DatabaseFile}

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
	if bot.Spec.Monitoring.PodMonitor == "Never" {
		template.Labels[LabelPodMonitor] = "Never"
	}
	template.Annotations = with(bot.Spec.PodMetadata.Annotations,
		map[string]string{configHashAnnotation: Hash(files[configFile[component]])})
	fillPod(&template.Spec, bot, component)
	fillContainer(&template.Spec.Containers[0], bot, params, component)
	mountAll(&template.Spec, bot, params, component)
	return workload
}

func fillPod(pod *corev1.PodSpec, bot *v1alpha1.RoseyBot, component Component) {
	pod.ServiceAccountName = serviceAccountName(bot)
	pod.ImagePullSecrets = bot.Spec.ImagePullSecrets
	overlay(bot.Spec.Scheduling, pod)
	if len(pod.TopologySpreadConstraints) == 0 && severalMayRun(bot, component) {
		pod.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: Selector(bot, component)},
			// Without it a rolling update counts the old pods too, and leaves all the new ones on one node.
			MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey},
		}}
	}
	if bot.Spec.PodSecurityContext != nil {
		overlay(bot.Spec.PodSecurityContext, pod.SecurityContext)
	} else if HoldsClaim(bot, component) {
		pod.SecurityContext.FSGroup = new(imageGroup)
		// Changing the group of every file at each start takes minutes on a large volume.
		pod.SecurityContext.FSGroupChangePolicy = new(corev1.FSGroupChangeOnRootMismatch)
	}
}

func fillContainer(container *corev1.Container, bot *v1alpha1.RoseyBot, params Params, component Component) {
	overlay(base[string(component)], container)
	container.Image, container.ImagePullPolicy = cmp.Or(bot.Spec.Image, params.Image), bot.Spec.ImagePullPolicy
	container.Env = append(environment(bot, container.Env), container.Env...)
	given := bot.Spec.Resources
	if component == Database {
		given = databaseOf(bot).Resources
	}
	// As a whole: a default limit beside a greater request of the user would be refused.
	if len(given.Requests) > 0 || len(given.Limits) > 0 || len(given.Claims) > 0 {
		container.Resources = given
	}
}

// environment is the user's, but for the names of ours. It writes out the default of a field whose struct the API
// server replaces as a whole: a default filled in by the server would be a difference for ever.
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

package manifests

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
)

// scaling is what several pods of a component need beside their Deployment. A single one gets no
// PodDisruptionBudget: it would keep a node from being drained.
func scaling(bot *v1alpha1.RoseyBot, component Component) (objects []client.Object) {
	autoscaled := Autoscaled(bot, component)
	if Replicas(bot, component) > 1 || autoscaled {
		budget := made[policyv1.PodDisruptionBudget](bot, Name(bot, component), component)
		budget.Spec.Selector = &metav1.LabelSelector{MatchLabels: Selector(bot, component)}
		objects = append(objects, budget)
	}
	if autoscaled {
		wanted := databaseOf(bot).Autoscaling
		scaler := made[autoscalingv2.HorizontalPodAutoscaler](bot, Name(bot, component), component)
		scaler.Spec.ScaleTargetRef.Name = Name(bot, component)
		scaler.Spec.MinReplicas, scaler.Spec.MaxReplicas = wanted.MinReplicas, wanted.MaxReplicas
		scaler.Spec.Metrics[0].Resource.Target.AverageUtilization = wanted.TargetCPUUtilization
		objects = append(objects, scaler)
	}
	return objects
}

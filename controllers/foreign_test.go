package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

// foreignObject returns an object that does not belong to a RoseyBot, but has a name that the RoseyBot needs.
func foreignObject(t *testing.T, kind, namespace, name string) client.Object {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	labels := map[string]string{"app": "foreign"}
	switch kind {
	case "ServiceAccount":
		return &corev1.ServiceAccount{ObjectMeta: meta}
	case "ConfigMap":
		return &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"foreign": "yes"}}
	case "Service":
		return &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}}}
	case "PersistentVolumeClaim":
		return &corev1.PersistentVolumeClaim{ObjectMeta: meta, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: quantity("3Gi")},
			},
		}}
	case "NetworkPolicy":
		return &networkingv1.NetworkPolicy{ObjectMeta: meta}
	case "PodDisruptionBudget":
		return &policyv1.PodDisruptionBudget{ObjectMeta: meta}
	case "HorizontalPodAutoscaler":
		return &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: meta, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{
				APIVersion: "apps/v1", Kind: "Deployment", Name: "foreign",
			}, MaxReplicas: 1,
		}}
	case "Deployment":
		return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "foreign", Image: "foreign"}}},
			},
		}}
	}
	t.Fatalf("no foreign object of kind %s", kind)
	return nil
}

func TestForeignObjectsAreReported(t *testing.T) {
	tests := []struct{ kind, name, condition string }{
		{"ServiceAccount", "movienight-rosey", v1alpha1.ConditionBotAvailable},
		{"ConfigMap", "movienight-config", v1alpha1.ConditionDatabaseAvailable},
		{"ConfigMap", "movienight-channels", v1alpha1.ConditionDatabaseAvailable},
		{"PersistentVolumeClaim", "movienight-db", v1alpha1.ConditionDatabaseAvailable},
		{"Service", "movienight-db", v1alpha1.ConditionDatabaseAvailable},
		{"Deployment", "movienight-db", v1alpha1.ConditionDatabaseAvailable},
		{"NetworkPolicy", "movienight-bot", v1alpha1.ConditionBotAvailable},
		{"Service", "movienight-bot", v1alpha1.ConditionBotAvailable},
		{"Deployment", "movienight-bot", v1alpha1.ConditionBotAvailable},
		{"PodDisruptionBudget", "movienight-db", v1alpha1.ConditionDatabaseAvailable},
		{"HorizontalPodAutoscaler", "movienight-db", v1alpha1.ConditionDatabaseAvailable},
	}
	for _, test := range tests {
		for _, labelled := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %s labelled %t", test.kind, test.name, labelled), func(t *testing.T) {
				bot := newBot(newNamespace(t))
				foreign := foreignObject(t, test.kind, bot.Namespace, test.name)
				if labelled {
					foreign.SetLabels(operatorLabels(bot))
				}
				if labelled && test.kind == "PersistentVolumeClaim" {
					foreign.SetOwnerReferences(foreignOwner()) // a claim without an owner would be reused
				}
				if test.kind == "PodDisruptionBudget" || test.kind == "HorizontalPodAutoscaler" {
					withPostgres(bot).Spec.Database.Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: 4}
				}
				create(t, foreign)
				create(t, bot)
				ready := waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
				if want := test.kind + " " + test.name; !strings.Contains(ready.Message, want) {
					t.Errorf("message is %q, want it to name %q", ready.Message, want)
				}
				waitCondition(t, bot, test.condition, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
				checkUnchanged(t, foreign)
			})
		}
	}
}

func operatorLabels(bot *v1alpha1.RoseyBot) map[string]string {
	return map[string]string{manifests.LabelManagedBy: manifests.ManagedBy, manifests.LabelRoseyBot: bot.Name}
}

func foreignOwner() []metav1.OwnerReference {
	return []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "StatefulSet", Name: "foreign", UID: "1", Controller: new(true),
	}}
}

func checkUnchanged(t *testing.T, object client.Object) {
	t.Helper()
	now, _ := object.DeepCopyObject().(client.Object)
	if err := rig.admin.Get(t.Context(), client.ObjectKeyFromObject(object), now); err != nil {
		t.Fatalf("the foreign object: %v", err)
	}
	if diff := cmp.Diff(object.GetResourceVersion(), now.GetResourceVersion()); diff != "" {
		t.Errorf("the foreign object was changed (-before +after):\n%s", diff)
	}
}

// No pod may mount a foreign ConfigMap or claim. The other component is not affected.
func TestForeignObjectIsNotMounted(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, foreignObject(t, "PersistentVolumeClaim", bot.Namespace, "movienight-db"))
	create(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	if _, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-db"); !apierrors.IsNotFound(err) {
		t.Errorf("the database Deployment: %v, want none", err)
	}
	if _, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-bot"); err != nil {
		t.Errorf("the bot's Deployment: %v", err)
	}
}

// Somebody else's ServiceAccount may have permissions, and an identity in a cloud that webhooks give to its pods.
func TestForeignServiceAccountIsNotUsed(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, foreignObject(t, "ServiceAccount", bot.Namespace, "movienight-rosey"))
	create(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	deployments := &appsv1.DeploymentList{}
	if err := rig.admin.List(t.Context(), deployments, client.InNamespace(bot.Namespace)); err != nil {
		t.Fatal(err)
	}
	if len(deployments.Items) > 0 {
		t.Errorf("%s has the ServiceAccount %s", deployments.Items[0].Name,
			deployments.Items[0].Spec.Template.Spec.ServiceAccountName)
	}
}

func TestDeletedForeignObjectIsReplaced(t *testing.T) {
	bot := newBot(newNamespace(t))
	foreign := foreignObject(t, "ConfigMap", bot.Namespace, "movienight-config")
	create(t, foreign)
	create(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
	if err := rig.admin.Delete(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	eventually(t, "a ConfigMap of the RoseyBot", func(ctx context.Context) error {
		now, err := get(ctx, &corev1.ConfigMap{}, bot.Namespace, "movienight-config")
		if err == nil && now.Data["bot.yaml"] == "" {
			err = fmt.Errorf("data is %v", now.Data)
		}
		return err
	})
}

package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
)

func TestCreationSendsOneRequestPerObjectAndStatus(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	waitStatusCached(t, bot)
	waitReconciled(t, bot)
	created := map[string]int{}
	statuses := 0
	for _, one := range rig.requests.of(t, bot.Namespace) {
		resource := one.path[strings.LastIndex(one.path, "/")+1:]
		switch {
		case one.method == http.MethodPost && one.status == http.StatusCreated:
			created[resource]++
		case one.method == http.MethodPut && resource == "status":
			statuses++
		case one.method == http.MethodPatch || one.method == http.MethodDelete:
			t.Errorf("unexpected %s %s", one.method, one.path)
		}
	}
	want := map[string]int{
		"serviceaccounts": 1, "configmaps": 3, "persistentvolumeclaims": 1, "services": 2, "deployments": 2,
		"networkpolicies": 2,
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Errorf("created objects (-want +got):\n%s", diff)
	}
	if statuses != 1 {
		t.Errorf("the one status so far was written %d times", statuses)
	}
	if got, want := len(versions(t, bot)), 11; got != want {
		t.Errorf("%d objects carry the label, want %d", got, want)
	}
}

func TestReconcilesWithoutAChangeSendNothing(t *testing.T) {
	bot := newBot(newNamespace(t))
	// The API server writes these quantities in another notation.
	quantity := resource.MustParse("1024Mi")
	bot.Spec.Database = &v1alpha1.Database{
		SQLite: &v1alpha1.SQLite{Size: &quantity},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("0.5")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("0.5Gi")},
		},
	}
	bot.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
	createReady(t, bot)
	waitReconciled(t, bot)
	before, calls := versions(t, bot), len(rig.requests.of(t, bot.Namespace))
	for range 5 {
		reconcileOnce(t, bot)
	}
	if sent := rig.requests.of(t, bot.Namespace)[calls:]; len(sent) > 0 {
		t.Errorf("five reconciles sent %v", sent)
	}
	if diff := cmp.Diff(before, versions(t, bot)); diff != "" {
		t.Errorf("resource versions (-before +after):\n%s", diff)
	}
}

func TestManualEditsAreRepaired(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "movienight-bot", Namespace: bot.Namespace}}
	change(t, deployment, func() {
		deployment.Spec.Template.Spec.Containers[0].Args = []string{"sleep"}
		deployment.Spec.Template.Spec.Containers[0].ReadinessProbe = nil
		deployment.Spec.Strategy = appsv1.DeploymentStrategy{} // the API server makes it a rolling update
		deployment.Labels["team"] = "fun"
	})
	eventually(t, "the Deployment is repaired", func(ctx context.Context) error {
		now, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
		if err != nil {
			return err
		}
		container := now.Spec.Template.Spec.Containers[0]
		if !slices.Equal(container.Args, []string{"bot", "--config", "/etc/rosey/bot.yaml"}) {
			return fmt.Errorf("arguments are %v", container.Args)
		}
		if now.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
			return errors.Join(fmt.Errorf("strategy is %v", now.Spec.Strategy), reportRolledOut(ctx, now))
		}
		if container.ReadinessProbe == nil {
			return errors.New("there is no readiness probe")
		}
		if now.Labels["team"] != "fun" {
			t.Fatal("the label of another client is gone")
		}
		return nil
	})
	rollOut(t, bot)
	waitReconciled(t, bot)

	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "movienight-db", Namespace: bot.Namespace}}
	if err := rig.admin.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deleted Service is back", func(ctx context.Context) error {
		_, err := get(ctx, &corev1.Service{}, bot.Namespace, "movienight-db")
		return err
	})
}

// An annotation gives a Deployment a new generation, and changes no pod.
func TestAnnotationOfAnotherKeepsReady(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	waitReconciled(t, bot)
	seen := watchStatus(t, bot)
	deployment, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
	if err != nil {
		t.Fatal(err)
	}
	before := deployment.Generation
	change(t, deployment, func() { deployment.Annotations["example.org/team"] = "fun" })
	if deployment.Generation == before {
		t.Fatalf("its generation is still %d: this test showed nothing", before)
	}
	eventually(t, "the operator has seen it", func(ctx context.Context) error {
		known := &appsv1.Deployment{}
		err := rig.operator.Client.Get(ctx, client.ObjectKeyFromObject(deployment), known)
		if err == nil && known.Generation == before {
			err = fmt.Errorf("it has generation %d", before)
		}
		return err
	})
	reconcileOnce(t, bot)
	for _, now := range seen() {
		if !isReady(now) {
			t.Errorf("it was not ready: %s", describe(now))
		}
	}
}

// Each kind needs its own permissions.
func TestEveryKindIsRepaired(t *testing.T) {
	bot := withPostgres(newBot(newNamespace(t)))
	bot.Spec.Replicas = new(int32(2))
	bot.Spec.Database.Autoscaling = &v1alpha1.Autoscaling{MinReplicas: new(int32(2)), MaxReplicas: 4}
	create(t, bot)
	waitStatusCached(t, bot) // before, a reconcile may not know the RoseyBot, and so send nothing
	waitReconciled(t, bot)
	repaired := map[string]bool{}
	for _, kind := range kinds {
		list, _ := kind.list.DeepCopyObject().(client.ObjectList)
		if err := rig.admin.List(t.Context(), list, client.InNamespace(bot.Namespace),
			client.MatchingLabels{manifests.LabelRoseyBot: bot.Name}); err != nil {
			t.Fatal(err)
		}
		for key, object := range byKey(t, list) {
			change(t, object, func() { object.GetLabels()["app.kubernetes.io/name"] = "other" })
			eventually(t, key.String()+" is repaired", func(ctx context.Context) error {
				err := rig.admin.Get(ctx, client.ObjectKeyFromObject(object), object)
				if name := object.GetLabels()["app.kubernetes.io/name"]; err == nil && name == "other" {
					err = fmt.Errorf("the label is %q", name)
				}
				return err
			})
			repaired[key.Kind] = true
		}
	}
	for _, kind := range []string{"ServiceAccount", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Deployment"} {
		if !repaired[kind] {
			t.Errorf("there is no %s, only %v", kind, repaired)
		}
	}
}

// Without the operator's label, the cache does not contain the object. It is found and repaired nevertheless.
func TestRemovedLabelIsRepaired(t *testing.T) {
	bot := newBot(newNamespace(t))
	createReady(t, bot)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "movienight-db", Namespace: bot.Namespace}}
	change(t, service, func() { delete(service.Labels, manifests.LabelManagedBy) })
	eventually(t, "the label is back", func(ctx context.Context) error {
		now, err := get(ctx, &corev1.Service{}, bot.Namespace, "movienight-db")
		if err == nil && now.Labels[manifests.LabelManagedBy] != manifests.ManagedBy {
			err = fmt.Errorf("labels are %v", now.Labels)
		}
		return err
	})
}

// A field that is no longer desired is removed, although a POST and not an apply wrote it.
func TestDroppedFieldsAreRemoved(t *testing.T) {
	bot := newBot(newNamespace(t))
	bot.Spec.Resources.Limits = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi"),
	}
	create(t, bot)
	rollOut(t, bot)
	change(t, bot, func() {
		bot.Spec.Account = nil
		delete(bot.Spec.Resources.Limits, corev1.ResourceCPU)
	})
	eventually(t, "secret volume and CPU limit are gone", func(ctx context.Context) error {
		now, err := get(ctx, &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
		if err != nil {
			return err
		}
		spec := now.Spec.Template.Spec
		for _, volume := range spec.Volumes {
			if volume.Secret != nil {
				return fmt.Errorf("volume %s is still there", volume.Name)
			}
		}
		if _, limited := spec.Containers[0].Resources.Limits[corev1.ResourceCPU]; limited {
			return errors.New("the CPU limit is still there")
		}
		return nil
	})
	now, err := get(t.Context(), &appsv1.Deployment{}, bot.Namespace, "movienight-bot")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range now.ManagedFields {
		if entry.Manager == string(fieldOwner) && entry.Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("%s still owns fields by %s", entry.Manager, entry.Operation)
		}
	}
}

func TestObjectsNoLongerDesiredAreDeleted(t *testing.T) {
	bot := newBot(newNamespace(t))
	create(t, bot)
	waitCondition(t, bot, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	owner := *metav1.NewControllerRef(bot, v1alpha1.GroupVersion.WithKind(v1alpha1.RoseyBotKind))
	labels := map[string]string{manifests.LabelManagedBy: manifests.ManagedBy, manifests.LabelRoseyBot: bot.Name}
	other := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "not-owned", Namespace: bot.Namespace, Labels: labels},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}},
	}
	create(t, other)
	old := other.DeepCopy()
	old.ObjectMeta = metav1.ObjectMeta{
		Name: "from-before", Namespace: bot.Namespace, Labels: labels, OwnerReferences: []metav1.OwnerReference{owner},
	}
	old.Spec.ClusterIP, old.Spec.ClusterIPs = "", nil
	create(t, old)
	eventually(t, "the owned one is gone", func(ctx context.Context) error {
		_, err := get(ctx, &corev1.Service{}, bot.Namespace, "from-before")
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it still exists: %w", err)
	})
	if _, err := get(t.Context(), &corev1.Service{}, bot.Namespace, "not-owned"); err != nil {
		t.Errorf("an object without the owner reference was deleted: %v", err)
	}
}

// waitStatusCached waits until the operator's cache contains the status that it has written. Before that, a reconcile
// of the test would write the status again.
func waitStatusCached(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	eventually(t, "the status in the operator's cache", func(ctx context.Context) error {
		known := &v1alpha1.RoseyBot{}
		if err := rig.operator.Client.Get(ctx, client.ObjectKeyFromObject(bot), known); err != nil {
			return err
		}
		answered := slices.ContainsFunc(rig.requests.of(t, bot.Namespace), func(one call) bool {
			return strings.HasSuffix(one.path, "/status")
		})
		if len(known.Status.Conditions) == 0 || !answered {
			return fmt.Errorf("conditions %s, answered: %v", describe(known), answered)
		}
		return nil
	})
}

// waitReconciled waits until the operator's cache has the RoseyBot as it is, with a status of its latest generation,
// and a reconcile has nothing to do. Before its cache has it, a reconcile sends nothing either. While the controller
// writes, a second reconcile would cause conflicts.
func waitReconciled(t *testing.T, bot *v1alpha1.RoseyBot) {
	t.Helper()
	sent := -1
	eventually(t, "a reconcile that sends nothing", func(ctx context.Context) error {
		if before := sent; len(rig.requests.of(t, bot.Namespace)) != before {
			sent = len(rig.requests.of(t, bot.Namespace))
			return fmt.Errorf("the controller has sent %d requests", sent)
		}
		now, err := get(ctx, &v1alpha1.RoseyBot{}, bot.Namespace, bot.Name)
		if err != nil {
			return err
		}
		known := &v1alpha1.RoseyBot{}
		if err := rig.operator.Client.Get(ctx, client.ObjectKeyFromObject(bot), known); err != nil {
			return err
		}
		if known.ResourceVersion != now.ResourceVersion || now.Status.ObservedGeneration != now.Generation {
			return fmt.Errorf("the cache has version %s of %s, with a status of generation %d of %d", known.ResourceVersion,
				now.ResourceVersion, now.Status.ObservedGeneration, now.Generation)
		}
		reconcileOnce(t, bot)
		if calls := rig.requests.of(t, bot.Namespace)[sent:]; len(calls) > 0 {
			return fmt.Errorf("it sent %v", calls)
		}
		return nil
	})
}

// versions returns the resource versions of all objects of a RoseyBot.
func versions(t *testing.T, bot *v1alpha1.RoseyBot) map[string]string {
	t.Helper()
	found := map[string]string{}
	for key, object := range liveObjects(t, bot) {
		found[key.String()] = object.GetResourceVersion()
	}
	return found
}

// liveObjects returns the objects that carry the label of a RoseyBot, except pods.
func liveObjects(t *testing.T, bot *v1alpha1.RoseyBot) map[manifests.Key]client.Object {
	t.Helper()
	found := map[manifests.Key]client.Object{}
	for _, kind := range kinds {
		list, _ := kind.list.DeepCopyObject().(client.ObjectList)
		err := rig.admin.List(t.Context(), list, client.InNamespace(bot.Namespace),
			client.MatchingLabels{manifests.LabelRoseyBot: bot.Name})
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(found, byKey(t, list))
	}
	return found
}

// byKey returns the objects of a list, except pods.
func byKey(t *testing.T, list client.ObjectList) map[manifests.Key]client.Object {
	t.Helper()
	found := newObserved()
	err := meta.EachListItem(list, func(item runtime.Object) error {
		gvk, err := apiutil.GVKForObject(item, rig.admin.Scheme())
		item.GetObjectKind().SetGroupVersionKind(gvk)
		return errors.Join(err, found.add(item))
	})
	if err != nil {
		t.Fatal(err)
	}
	return found.Objects
}

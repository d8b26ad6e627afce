package controllers

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// contentOf returns what an object has besides its metadata and its status.
func contentOf(object client.Object) any {
	switch object := object.(type) {
	case *appsv1.Deployment:
		return object.Spec
	case *corev1.Service:
		return object.Spec
	case *policyv1.PodDisruptionBudget:
		return object.Spec
	case *corev1.ConfigMap:
		return []any{object.Data, object.BinaryData, object.Immutable}
	}
	panic(fmt.Sprintf("%T", object))
}

// Some fields exclude each other. An apply left those of others, so after such an edit every write was refused, for
// ever; and a paused rollout was "being rolled out" for ever.
func TestEditsThatAnApplyCannotUndoAreRepaired(t *testing.T) {
	bot := withPostgres(newBot(newNamespace(t)))
	bot.Spec.Replicas = new(int32(2))
	bot.Spec.Database.Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: 4}
	create(t, bot)
	rollOut(t, bot)
	waitReconciled(t, bot)
	container := func(field string) string { return "/spec/template/spec/containers/0/" + field }
	bots, service, config := &appsv1.Deployment{}, &appsv1.Deployment{}, &corev1.ConfigMap{}
	for name, test := range map[string]struct {
		object client.Object
		name   string
		patch  string
	}{
		"variable with a value": {bots, "movienight-bot", `[{"op":"replace","path":"` + container("env/0") +
			`","value":{"name":"POD_NAME","value":"other"}}]`},
		"probe of another kind": {bots, "movienight-bot", `[{"op":"replace","path":"` + container("livenessProbe") +
			`","value":{"exec":{"command":["true"]}}}]`},
		"port of the container": {bots, "movienight-bot", `[{"op":"replace","path":"` + container("ports/0/containerPort") +
			`","value":9090}]`},
		"volume of another kind": {bots, "movienight-bot", `[{"op":"replace","path":"/spec/template/spec/volumes/1",` +
			`"value":{"name":"config","emptyDir":{}}}]`},
		"strategy": {bots, "movienight-bot", `[{"op":"replace","path":"/spec/strategy","value":{"type":"Recreate"}}]`},
		"paused":   {bots, "movienight-bot", `[{"op":"add","path":"/spec/paused","value":true}]`},
		"autoscaled Deployment": {service, "movienight-db", `[{"op":"replace","path":"/spec/template/spec/volumes/1",` +
			`"value":{"name":"config","emptyDir":{}}},{"op":"replace","path":"/spec/replicas","value":3}]`},
		"port of the Service": {&corev1.Service{}, "movienight-bot",
			`[{"op":"replace","path":"/spec/ports/0/port","value":9090}]`},
		"budget": {&policyv1.PodDisruptionBudget{}, "movienight-bot",
			`[{"op":"remove","path":"/spec/maxUnavailable"},{"op":"add","path":"/spec/minAvailable","value":1}]`},
		"file as bytes": {config, "movienight-config",
			`[{"op":"remove","path":"/data/bot.yaml"},{"op":"add","path":"/binaryData","value":{"bot.yaml":"AAAA"}}]`},
		"immutable file": {config, "movienight-config",
			`[{"op":"replace","path":"/data/bot.yaml","value":"edited"},{"op":"add","path":"/immutable","value":true}]`},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := get(t.Context(), test.object, bot.Namespace, test.name)
			if err != nil {
				t.Fatal(err)
			}
			before, _ = before.DeepCopyObject().(client.Object)
			if deployment, isDeployment := before.(*appsv1.Deployment); isDeployment && name == "autoscaled Deployment" {
				deployment.Spec.Replicas = new(int32(3)) // as the autoscaler has set it
			}
			if err := rig.admin.Patch(t.Context(), test.object,
				client.RawPatch(types.JSONPatchType, []byte(test.patch)), client.FieldOwner("kubectl-edit")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is repaired", func(ctx context.Context) error {
				now, err := get(ctx, test.object, bot.Namespace, test.name)
				if err != nil {
					return err
				}
				if !apiequality.Semantic.DeepEqual(contentOf(before), contentOf(now)) {
					return fmt.Errorf("-before +now:\n%s", cmp.Diff(contentOf(before), contentOf(now)))
				}
				return nil
			})
			waitReconciled(t, bot)
		})
	}
}

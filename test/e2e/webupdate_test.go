package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

// Who reads the web page through its Service notices nothing of a rolling update: no connection is refused, and no
// request is left without an answer. Both pods are replaced meanwhile.
func TestRollingUpdateOfTheWebPageDropsNoRequest(t *testing.T) {
	needLocalCluster(t)
	t.Parallel()
	loadProbe(t)
	const readers = "readers"
	createNamespace(t, readers, nil)
	startProbe(t, readers)
	bot := newBot("paged")
	bot.Spec.Web = &v1alpha1.Web{
		Enabled: new(true), Public: new(true), Replicas: new(int32(2)),
		AllowFrom: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{
			MatchLabels: map[string]string{"kubernetes.io/metadata.name": readers},
		}}},
	}
	create(t, bot)
	waitFor(t, bot.Name, v1alpha1.ConditionWebAvailable, metav1.ConditionTrue)
	pages := awaitWebPods(t, bot.Name, "")

	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	var answers atomic.Int64
	for range 4 { // each request is a process with a connection of its own
		reading.Go(func() {
			for ctx.Err() == nil {
				url := "http://" + bot.Name + "-web." + namespace + ".svc.cluster.local:8081/"
				answer, err := tryFrom(t.Context(), readers, "get", url)
				if err != nil || !strings.HasPrefix(answer, "200 OK") {
					t.Errorf("%v: %.100s", err, answer)
				}
				answers.Add(1)
			}
		})
	}
	kubectl(t, "patch", "roseybot", bot.Name, "--type", "merge", "-p", `{"spec":{"web":{"people":"Off"}}}`)
	awaitWebPods(t, bot.Name, pages)
	stop()
	reading.Wait()
	t.Logf("%d requests", answers.Load())
}

// awaitWebPods waits until all pods of a web page are of its newest template, which is another one than before, and
// nothing is left of older ones. It returns the template.
func awaitWebPods(t *testing.T, bot, before string) (template string) {
	t.Helper()
	eventually(t, readyLimit, "the pods of the web page of "+bot, func(ctx context.Context) error {
		deployment := &appsv1.Deployment{}
		key := client.ObjectKey{Namespace: namespace, Name: bot + "-web"}
		if err := cluster.client.Get(ctx, key, deployment); err != nil {
			return fmt.Errorf("reading its Deployment: %w", err)
		}
		now := deployment.Status
		template = deployment.Annotations["rosey.dev/template-hash"]
		if template == before || now.ObservedGeneration < deployment.Generation || now.ReadyReplicas < 2 ||
			now.UpdatedReplicas < 2 || now.Replicas > 2 {
			return fmt.Errorf("template %s, %+v", template, now)
		}
		pods, err := podsLabelled(ctx, namespace, "rosey.dev/roseybot", bot)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if pod.DeletionTimestamp != nil {
				return errors.New("pod " + pod.Name + " is being deleted")
			}
		}
		return nil
	})
	return template
}

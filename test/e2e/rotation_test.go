package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// The account gets a new password. While only the CyTube server has it, the bot reports a refused login. After the
// Secret has it too, the same process logs in.
func TestARotatedPasswordNeedsNoRestart(t *testing.T) {
	needCluster(t)
	waitReady(t, demoBot)
	before := identities(t, demoBot)

	password := rand.Text()
	setSecret(t, "cytube-accounts", "accounts.yaml", fmt.Sprintf("[{name: Rosey, password: %s, rank: 3}]", password))
	restartCyTube(t)
	message := waitFor(t, demoBot, v1alpha1.ConditionChannelJoined, metav1.ConditionFalse,
		string(status.ReasonLoginRefused))
	t.Log(message)

	setSecret(t, "rosey-account", "password", password)
	waitReady(t, demoBot)
	sameIdentities(t, demoBot, before)
}

func setSecret(t *testing.T, name, key, value string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"stringData":{%q:%q}}`, key, value))
	if err := cluster.client.Patch(t.Context(), secret, patch); err != nil {
		t.Fatalf("changing Secret %s: %v", name, err)
	}
}

// restartCyTube restarts the server, which reads its accounts only when it starts.
func restartCyTube(t *testing.T) {
	t.Helper()
	scaleDeployment(t, "cytube", 0)
	waitScaled(t, "cytube", 0)
	scaleDeployment(t, "cytube", 1)
	waitScaled(t, "cytube", 1)
}

// waitScaled waits until a Deployment has the given number of pods and all are ready.
func waitScaled(t *testing.T, name string, replicas int32) {
	t.Helper()
	eventually(t, readyLimit, fmt.Sprintf("%s has %d pods", name, replicas), func(ctx context.Context) error {
		deployment := &appsv1.Deployment{}
		key := client.ObjectKey{Namespace: namespace, Name: name}
		if err := cluster.client.Get(ctx, key, deployment); err != nil {
			return err
		}
		status := deployment.Status
		if status.ObservedGeneration < deployment.Generation ||
			status.Replicas != replicas || status.ReadyReplicas != replicas {
			return fmt.Errorf("%d pods, %d ready", status.Replicas, status.ReadyReplicas)
		}
		return nil
	})
}

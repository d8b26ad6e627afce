package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

// steadyLimit is how long two bots may take to try in turn: each gives up after 30 s.
const steadyLimit = 3 * time.Minute

// Two bots that cannot reach the server give up and try in turn. Each is ready while it stands by, and the RoseyBot was
// ready for a moment each time.
func TestBotsThatTryInTurnAreSteadilyNotReady(t *testing.T) {
	needCluster(t)
	t.Parallel()
	bot := newBot("turns")
	bot.Spec.Replicas = new(int32(2))
	bot.Spec.Channel.Server = "http://nowhere.demo.svc.cluster.local:8880"
	create(t, bot)
	waitFor(t, bot.Name, v1alpha1.ConditionChannelJoined, metav1.ConditionFalse, string(status.ReasonServerUnreachable))
	leaders := map[string]bool{}
	eventually(t, steadyLimit, "both bots have tried", func(ctx context.Context) error {
		now := &v1alpha1.RoseyBot{}
		if err := cluster.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: bot.Name}, now); err != nil {
			return err
		}
		joined := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.ConditionChannelJoined)
		if joined.Status != metav1.ConditionFalse || joined.Reason != string(status.ReasonServerUnreachable) {
			t.Errorf("ChannelJoined is %s with %s: %s", joined.Status, joined.Reason, joined.Message)
		}
		if meta.IsStatusConditionTrue(now.Status.Conditions, v1alpha1.ConditionReady) {
			t.Error("it is ready")
		}
		if now.Status.Leader != "" { // between two leaders
			leaders[now.Status.Leader] = true
		}
		if len(leaders) < 2 {
			return fmt.Errorf("the leaders were %v", leaders)
		}
		return nil
	})
}

// The standby of a leader whose login is refused is ready, and nobody is in the channel.
func TestStandbyOfARefusedLeaderIsNotPresence(t *testing.T) {
	needCluster(t)
	t.Parallel()
	createSecret(t, "refused", "not the password")
	bot := newBot("refused")
	bot.Spec.Replicas = new(int32(2))
	bot.Spec.Account.PasswordSecretRef = &v1alpha1.SecretKeyRef{Name: "refused", Key: "password"}
	bot.Spec.Account.Username = "Rosey"
	create(t, bot)
	waitFor(t, bot.Name, v1alpha1.ConditionBotAvailable, metav1.ConditionTrue)
	waitFor(t, bot.Name, v1alpha1.ConditionReady, metav1.ConditionFalse, string(status.ReasonLoginRefused))
	waitFor(t, bot.Name, v1alpha1.ConditionStalled, metav1.ConditionTrue, string(status.ReasonLoginRefused))
}

// `kubectl wait` ends for a RoseyBot that is suspended, and not before its pods are gone.
func TestWaitEndsForASuspendedBot(t *testing.T) {
	needCluster(t)
	t.Parallel()
	create(t, newBot("rests"))
	waitReady(t, "rests")
	kubectl(t, "patch", "roseybot", "rests", "--type", "merge", "-p", `{"spec":{"suspend":true}}`)
	kubectl(t, "wait", "roseybot/rests", "--for=condition=Ready", "--timeout=2m")
	waitFor(t, "rests", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSuspended)
	pods := &corev1.PodList{}
	err := cluster.client.List(t.Context(), pods, client.InNamespace(namespace),
		client.MatchingLabels{"rosey.dev/roseybot": "rests"})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items { // the object of one that has ended may be there for a moment
		if phase := pod.Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
			t.Errorf("pod %s is %s", pod.Name, phase)
		}
	}
	kubectl(t, "patch", "roseybot", "rests", "--type", "merge", "-p", `{"spec":{"suspend":false}}`)
	kubectl(t, "wait", "roseybot/rests", "--for=condition=Ready", "--timeout=3m")
	waitFor(t, "rests", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
)

func TestScaleStopsAndStartsTheBot(t *testing.T) {
	needCluster(t)
	t.Parallel()
	channel := cytubeChannel("scaled")
	create(t, newBot("scaled"))
	waitReady(t, "scaled")

	if err := scaleBot(t, "scaled", 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, readyLimit, "the bot has left the channel", func(ctx context.Context) error {
		present, err := channel.present(ctx, "rosey_scaled")
		if err != nil {
			return err
		}
		if present {
			return fmt.Errorf("still in the user list")
		}
		return nil
	})
	waitFor(t, "scaled", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonScaledToZero)

	if err := scaleBot(t, "scaled", 1); err != nil {
		t.Fatal(err)
	}
	waitReady(t, "scaled")
	err := scaleBot(t, "scaled", 2)
	if err == nil || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("two replicas: error is %v, want one that says why it is refused", err)
	}
}

func TestDeleteRemovesThePodsAndKeepsTheClaim(t *testing.T) {
	needCluster(t)
	t.Parallel()
	channel := cytubeChannel("kept")
	channel.join(t, "kim")
	channel.say(t, "kim", "remember me")
	create(t, newBot("kept"))
	waitReady(t, "kept")
	sameChat(t, "kept", channel)

	bot := &v1alpha1.RoseyBot{ObjectMeta: metav1.ObjectMeta{Name: "kept", Namespace: namespace}}
	if err := cluster.client.Delete(t.Context(), bot); err != nil {
		t.Fatal(err)
	}
	eventually(t, readyLimit, "the pods are gone", func(ctx context.Context) error {
		pods, err := podsOf(ctx, "kept")
		if err != nil {
			return err
		}
		if len(pods) > 0 {
			return fmt.Errorf("%d pods are left", len(pods))
		}
		return nil
	})
	claim := &corev1.PersistentVolumeClaim{}
	key := client.ObjectKey{Namespace: namespace, Name: claimName("kept")}
	if err := cluster.client.Get(t.Context(), key, claim); err != nil {
		t.Fatalf("the claim: %v", err)
	}
	if claim.DeletionTimestamp != nil || claim.Status.Phase != corev1.ClaimBound {
		t.Errorf("the claim is being deleted or not bound: %+v", claim)
	}

	// A new bot of the same name finds its rows again. The line is not in the channel's last ones any more.
	for i := range 20 {
		channel.say(t, "kim", fmt.Sprintf("nobody listens %d", i))
	}
	if err := cluster.client.Create(t.Context(), newBot("kept")); err != nil {
		t.Fatal(err)
	}
	waitReady(t, "kept")
	stored, err := readRows(t.Context(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	if len(stored.Chat) == 0 || stored.Chat[0].Text != "remember me" {
		t.Errorf("the old rows are not there: %+v", stored.Chat)
	}
}

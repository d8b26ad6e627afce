package e2e

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/status"
)

func TestScaleStopsAndStartsTheBot(t *testing.T) {
	needCluster(t)
	t.Parallel()
	channel := cytubeChannel("scaled")
	create(t, newBot("scaled"))
	waitReady(t, "scaled")

	kubectl(t, "scale", "roseybot", "scaled", "--replicas=0")
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
	waitFor(t, "scaled", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonScaledToZero)

	kubectl(t, "scale", "roseybot", "scaled", "--replicas=1")
	waitReady(t, "scaled")
}

func TestScaleIsRefusedWithAReason(t *testing.T) {
	needCluster(t)
	t.Parallel()
	bot := newBot("nameless")
	bot.Spec.Account = nil
	create(t, bot)
	_, err := tool(t, "kubectl", "", "--namespace", namespace, "scale", "roseybot", "nameless", "--replicas=2")
	if err == nil || !strings.Contains(err.Error(), "two anonymous bots would be in the channel at once") {
		t.Errorf("two replicas: error is %v, want one that says why it is refused", err)
	}
}

// One of two pods is in the channel. When it is deleted, the other takes over, and later lines are stored too.
func TestAStandbyTakesOver(t *testing.T) {
	needCluster(t)
	t.Parallel()
	channel := cytubeChannel("relay")
	channel.join(t, "rita")
	bot := newBot("relay")
	bot.Spec.Replicas = new(int32(2))
	create(t, bot)
	waitReady(t, "relay")
	first := leaderAfter(t, "relay", "")
	channel.say(t, "rita", "said to the first leader")

	kubectl(t, "delete", "pod", first, "--wait=false")
	second := leaderAfter(t, "relay", first)
	t.Logf("%s led, then %s", first, second)
	waitReady(t, "relay")
	channel.say(t, "rita", "said to the second leader")
	sameChat(t, "relay", channel)
}

// leaderAfter waits until the status names a leader other than before, and returns it.
func leaderAfter(t *testing.T, name, before string) string {
	t.Helper()
	var leader string
	eventually(t, readyLimit, "RoseyBot "+name+" has a leader after "+before, func(ctx context.Context) error {
		bot, err := getBot(ctx, name)
		if err != nil {
			return err
		}
		if leader = bot.Status.Leader; leader == "" || leader == before {
			return fmt.Errorf("leader is %q", leader)
		}
		return nil
	})
	return leader
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

	// A new bot of the same name finds its rows again. The channel's chat history no longer has the line.
	for i := range 20 {
		channel.say(t, "kim", fmt.Sprintf("said without a bot %d", i))
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
		t.Errorf("the old rows are missing: %+v", stored.Chat)
	}
}

// The claim is deleted with the RoseyBot. A new RoseyBot of the same name has an empty database, says whose events the
// stream has, and stores new ones once it is told to take the stream over.
func TestARoseyBotWhoseRowsWereDeletedStartsAnew(t *testing.T) {
	needCluster(t)
	t.Parallel()
	channel := cytubeChannel("anew")
	channel.join(t, "ann")
	bot := func() *v1alpha1.RoseyBot {
		bot := newBot("anew")
		bot.Spec.Database = &v1alpha1.Database{SQLite: &v1alpha1.SQLite{RetainPolicy: v1alpha1.DeleteClaim}}
		return bot
	}
	create(t, bot())
	waitReady(t, "anew")
	channel.say(t, "ann", "said to the first database")
	sameChat(t, "anew", channel)

	kubectl(t, "delete", "roseybot", "anew", "--wait")
	eventually(t, readyLimit, "claim and pods are gone", func(ctx context.Context) error {
		pods, err := podsOf(ctx, "anew")
		if err == nil && len(pods) > 0 {
			err = fmt.Errorf("%d pods are left", len(pods))
		}
		if err != nil {
			return err
		}
		key := client.ObjectKey{Namespace: namespace, Name: claimName("anew")}
		err = cluster.client.Get(ctx, key, &corev1.PersistentVolumeClaim{})
		if err == nil {
			err = fmt.Errorf("the claim %s is left", key.Name)
		}
		return client.IgnoreNotFound(err)
	})
	if err := cluster.client.Create(t.Context(), bot()); err != nil {
		t.Fatal(err)
	}
	message := waitFor(t, "anew", v1alpha1.ConditionDatabaseAvailable, metav1.ConditionFalse,
		string(status.ReasonSubjectConflict))
	command := regexp.MustCompile("kubectl (annotate -n demo roseybot anew --overwrite rosey.dev/take-over=[0-9a-f-]+)").
		FindStringSubmatch(message)
	if command == nil {
		t.Fatalf("no command in the message: %s", message)
	}
	kubectl(t, strings.Fields(command[1])...)
	waitReady(t, "anew")
	channel.say(t, "ann", "said to the second database")
	eventually(t, storeLimit, "the line is stored", func(ctx context.Context) error {
		stored, err := readRows(ctx, "anew")
		if err == nil && !slices.ContainsFunc(stored.Chat, func(line chatRow) bool {
			return line.Text == "said to the second database"
		}) {
			err = fmt.Errorf("stored are %+v", stored.Chat)
		}
		return err
	})
}

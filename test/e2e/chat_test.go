package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/status"
)

// storeLimit bounds how long a line may take from the channel to the table on a busy machine.
const storeLimit = 30 * time.Second

func scriptLimit(seconds int) time.Duration { return time.Duration(seconds)*time.Second + time.Minute }

func TestEveryLineIsStoredOnceWithItsTime(t *testing.T) {
	needCluster(t)
	channel := cytubeChannel(demoBot)
	waitReady(t, demoBot)
	channel.script(t, 15)
	lines := sameChat(t, demoBot, channel)
	if lines < 50 {
		t.Errorf("only %d lines were said, want at least 50", lines)
	}
	sameCounts(t, demoBot, channel)
}

// NATS stops and starts again: the status reports both, the bot stays in the channel, and lines that were said
// meanwhile are stored afterwards.
func TestStatusDuringAndAfterANATSOutage(t *testing.T) {
	needCluster(t)
	channel := cytubeChannel(demoBot)
	waitReady(t, demoBot)
	channel.join(t, "nina")

	scaleDeployment(t, "nats", 0)
	for _, condition := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionBotAvailable, v1alpha1.ConditionDatabaseAvailable,
	} {
		message := waitFor(t, demoBot, condition, metav1.ConditionFalse, string(status.ReasonNATSUnreachable))
		t.Logf("%s: %s", condition, message)
	}
	waitFor(t, demoBot, v1alpha1.ConditionChannelJoined, metav1.ConditionTrue)
	for i := range 20 {
		channel.say(t, "nina", fmt.Sprintf("line %d during the outage", i))
	}

	scaleDeployment(t, "nats", 1)
	waitReady(t, demoBot)
	channel.say(t, "nina", "said after the outage")
	sameChat(t, demoBot, channel)
	noRestarts(t, demoBot)
}

// The bot stores people who joined before it, although the server does not announce them. A second bot uses the same
// NATS as the first, and each has only its own rows.
func TestPeopleWhoJoinedBeforeTheBotAreStored(t *testing.T) {
	needCluster(t)
	channel := cytubeChannel("matinee")
	channel.join(t, "early_alice")
	channel.join(t, "early_bob")
	channel.say(t, "early_alice", "said before the bot joined: CyTube repeats it on join")
	create(t, newBot("matinee"))
	waitReady(t, "matinee")
	channel.say(t, "early_bob", "said after")
	sameChat(t, "matinee", channel)

	eventually(t, storeLimit, "both are stored and present", func(ctx context.Context) error {
		stored, err := readRows(ctx, "matinee")
		if err != nil {
			return err
		}
		present := map[string]bool{}
		for _, user := range stored.Users {
			present[user.Username] = user.SessionStart != nil
		}
		if !present["early_alice"] || !present["early_bob"] {
			return fmt.Errorf("users are %+v", stored.Users)
		}
		return nil
	})
	first, err := readRows(t.Context(), demoBot)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range first.Users {
		if user.Username == "early_alice" || user.Username == "early_bob" {
			t.Errorf("%s, who is only in channel matinee, is stored for channel %s", user.Username, demoBot)
		}
	}
}

// sameChat waits until the table has exactly the lines of the channel, and returns their number.
func sameChat(t *testing.T, bot string, channel cytubeChannel) int {
	t.Helper()
	var count int
	eventually(t, storeLimit, "the table has the lines of the channel", func(ctx context.Context) error {
		said, err := chatOf(ctx, channel)
		if err != nil {
			return err
		}
		stored, err := readRows(ctx, bot)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(tally(said), tally(stored.Chat)); diff != "" {
			return fmt.Errorf("lines and their counts (-said +stored):\n%s", diff)
		}
		count = len(said)
		return nil
	})
	return count
}

func chatOf(ctx context.Context, channel cytubeChannel) ([]chatRow, error) {
	entries, err := channel.log(ctx)
	if err != nil {
		return nil, err
	}
	var lines []chatRow
	for _, entry := range entries {
		if entry.Kind == simulator.KindChat {
			lines = append(lines, chatRow{Time: entry.Time, Username: entry.User, Text: entry.Text})
		}
	}
	return lines, nil
}

func tally(lines []chatRow) map[chatRow]int {
	count := map[chatRow]int{}
	for _, line := range lines {
		count[line]++
	}
	return count
}

// sameCounts compares the number of lines of each user with the counters in the users' rows.
func sameCounts(t *testing.T, bot string, channel cytubeChannel) {
	t.Helper()
	said, err := chatOf(t.Context(), channel)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, line := range said {
		want[line.Username]++
	}
	stored, err := readRows(t.Context(), bot)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, user := range stored.Users {
		if user.Lines > 0 {
			got[user.Username] = user.Lines
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines of each user (-said +stored):\n%s", diff)
	}
}

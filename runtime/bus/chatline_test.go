package bus_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// replayed is the number of lines that CyTube repeats on a join.
const replayed = 15

// said is a line of the channel's history, which many neighbours may equal.
type said struct {
	ms   int64
	user string
	text string
}

// history returns lines of which many were said again in the same millisecond, also with others in between.
func history(random *rand.Rand, length int) []said {
	lines := make([]said, 0, length)
	ms := int64(1763700000000)
	for len(lines) < length {
		for range 1 + random.IntN(30) {
			lines = append(lines, said{ms, string("ab"[random.IntN(2)]), string("xy"[random.IntN(8)/7])})
		}
		ms += 1 + random.Int64N(3)
	}
	return lines[:length]
}

// connection is the part of a history during which a bot is connected.
type connection struct{ joined, left int }

// sees returns the lines that arrive: those that the server repeats, and those said until it ends.
func (c connection) sees(history []said) []said {
	return history[max(0, c.joined-replayed):c.left]
}

// idsOf returns the IDs that a connection publishes, and how often.
func idsOf(t *testing.T, lines []said) map[string]bool {
	t.Helper()
	ids, published := bus.NewChatLineIDs(bus.Origin{Server: "https://cytu.be", Channel: "movies"}), map[string]bool{}
	for _, line := range lines {
		id := ids.Next(line.user, time.UnixMilli(line.ms), "", line.text)
		if published[id] {
			t.Fatalf("two lines of one connection have the ID %s", id)
		}
		published[id] = true
	}
	return published
}

// boundary returns the next index at or after i at which another millisecond begins.
func boundary(history []said, i int) int {
	for i > 0 && i < len(history) && history[i].ms == history[i-1].ms {
		i++
	}
	return i
}

// TestEveryRepetitionIsStoredOnce compares the IDs of several connections to one history, as of one process that
// rejoins, restarts, or hands over to another, with the lines that any of them saw. Each begins anywhere, also between
// two lines of one millisecond, and ends after all lines of one.
func TestEveryRepetitionIsStoredOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		history := history(random, 120)
		stored, seen := map[string]bool{}, map[int]bool{}
		for range 1 + random.IntN(4) {
			joined := random.IntN(len(history))
			c := connection{joined, boundary(history, joined+random.IntN(len(history)-joined))}
			for id := range idsOf(t, c.sees(history)) {
				stored[id] = true
			}
			for i := max(0, c.joined-replayed); i < c.left; i++ {
				seen[i] = true
			}
		}
		if len(stored) != len(seen) {
			t.Fatalf("seed %d: %d lines stored, %d were seen", seed, len(stored), len(seen))
		}
	}
}

// TestABrokenRunIsNeverDoubled has connections that end anywhere, also between two lines of one millisecond.
func TestABrokenRunIsNeverDoubled(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 2))
		history := history(random, 120)
		all, stored := idsOf(t, history), map[string]bool{}
		most := 0
		for range 1 + random.IntN(6) {
			joined := random.IntN(len(history))
			c := connection{joined, joined + random.IntN(len(history)-joined)}
			ids := idsOf(t, c.sees(history))
			for id := range ids {
				stored[id] = true
			}
			most = max(most, len(ids))
		}
		for id := range stored {
			if !all[id] {
				t.Fatalf("seed %d: more lines are stored than were said", seed)
			}
		}
		if len(stored) < most {
			t.Fatalf("seed %d: %d lines stored, one connection alone got %d", seed, len(stored), most)
		}
	}
}

// TestAsManyRowsAsTheLongestSight has runs of equal lines of every length, of which one connection sees the first and
// the next one what the server repeats. Where the numbers of lines in the run differ and the connections see the same,
// the least is stored: more would store lines twice that were said once.
func TestAsManyRowsAsTheLongestSight(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 30; n++ {
		run := make([]said, n)
		for i := range run {
			run[i] = said{1763700000123, "a", "x"}
		}
		for m := 0; m <= n; m++ {
			stored := idsOf(t, connection{0, m}.sees(run))
			repeated := connection{n, n}.sees(run)
			for id := range idsOf(t, repeated) {
				stored[id] = true
			}
			if len(stored) != max(m, len(repeated)) {
				t.Errorf("%d rows of %d lines, of which the first %d and the last %d were seen", len(stored), n, m, len(repeated))
			}
			if whole := m == n || len(repeated) == n; whole && len(stored) != n {
				t.Errorf("%d rows of %d lines that one connection has seen", len(stored), n)
			}
		}
	}
}

// TestAServerCannotFillTheMemoryWithLines has more different lines than are counted, and still counts the latest.
func TestAServerCannotFillTheMemoryWithLines(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1763700000123)
	ids := bus.NewChatLineIDs(bus.Origin{})
	for i := range 10_000 {
		text := fmt.Sprint(i)
		if first, second := ids.Next("a", at, "", text), ids.Next("a", at, "", text); first == second {
			t.Fatalf("line %s was not counted", text)
		}
	}
}

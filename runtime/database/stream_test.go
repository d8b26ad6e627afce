package database_test

import (
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
)

// An unmodified Python bot publishes everything twice, without an id, to whoever is there. With a stream that
// nobody told it of, nobody need be there.
func TestAPythonPublisherBecomesDurable(t *testing.T) {
	r := newStreamRig(t)
	r.stop(r.startDurable()) // whoever came first made the stream
	texts := numbers(300)
	for _, text := range texts {
		r.say(text)
		r.say(text)
	}
	r.published(600)
	r.server.Restart()
	s := r.startDurable()
	r.drained()
	same(t, "lines", texts, r.texts())
	users, err := r.look().Users(t.Context(), movies)
	if err != nil || len(users) != 1 || users[0].Lines != 300 {
		t.Errorf("users %+v, %v; want alice with each line counted once", users, err)
	}
	if stored := r.count(s, bus.MessageLog, "stored"); stored != 300 {
		t.Errorf("%v stored", stored)
	}
}

func TestTwoServicesShareTheStream(t *testing.T) {
	r := newStreamRig(t)
	share := r.shared()
	first, second := r.startDurable(share), r.startDurable(share)
	texts := numbers(200)
	for i, text := range texts {
		r.say(text)
		if i%20 == 0 { // so that both have to wait for something
			r.drained()
		}
	}
	r.drained()
	if lines := r.lines(); len(lines) != len(texts) {
		t.Errorf("%d lines, want each of %d once", len(lines), len(texts))
	}
	for _, s := range []*running{first, second} {
		if r.count(s, bus.MessageLog, "stored") == 0 {
			t.Error("one service did all the work")
		}
	}
}

// Rolling replaces one service after the other while events come.
func TestRollingServicesLosesNothing(t *testing.T) {
	r := newStreamRig(t)
	share := r.shared()
	pub := r.durableBot()
	services := []*running{r.startDurable(share), r.startDurable(share)}
	texts := numbers(2000)
	start := time.UnixMilli(1763700000000)
	for i, text := range texts {
		r.publishLine(pub, text, start.Add(time.Duration(i)*time.Millisecond))
		if i%500 == 250 {
			one := i / 500 % 2
			fresh := r.startDurable(share)
			r.stop(services[one])
			services[one] = fresh
		}
	}
	if err := pub.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.drained()
	same(t, "lines", texts, r.texts())
}

func TestAStoreThatIsAwayKeepsEventsInTheStream(t *testing.T) {
	r := newStreamRig(t)
	sick, with := r.ailing()
	s := r.startDurable(with, database.WithGracePeriod(50*time.Millisecond))
	sick.failing.Store(true)
	for _, text := range numbers(50) {
		r.say(text)
	}
	natstest.Eventually(t, "attempts", func() bool { return sick.applies.Load() > 1 })
	r.stop(s) // and it does not say that something is lost
	r.startDurable()
	r.drained()
	same(t, "lines", numbers(50), r.texts())
}

func TestWhatCannotBeReadIsKeptAndAcknowledged(t *testing.T) {
	r := newStreamRig(t)
	s := r.startDurable()
	r.say("first")
	r.publish(bus.MessageLog, `nonsense`)
	r.publish(bus.StatsUserCount, `{"chat_count":-1,"connected_count":5}`)
	r.say("last")
	r.drained()
	same(t, "lines", []string{"first", "last"}, r.texts())
	letters, err := r.look().DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 2 || letters[0].MsgID == "" {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	same(t, "dead letters", 2.0, r.metric(s, "rosey_database_dead_letters_total"))
}

func TestTimesAreBoundByTheStreams(t *testing.T) {
	r := newStreamRig(t)
	r.stop(r.startDurable())
	began := time.Now()
	r.publish(bus.MessageLog, `{"username":"alice","message":"future","timestamp":33000000000}`)
	r.publish(bus.MessageLog, `{"username":"alice","message":"none"}`)
	if err := r.client.Flush(); err != nil {
		t.Fatal(err)
	}
	published := time.Now()
	r.startDurable()
	r.drained()
	for _, line := range r.lines() {
		if line.At.Before(began.Truncate(time.Millisecond)) || line.At.After(published.Add(3*time.Second)) {
			t.Errorf("%q is of %v, want when it was published", line.Text, line.At)
		}
	}
}

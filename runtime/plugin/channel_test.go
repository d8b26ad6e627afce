package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

// inside runs a function as the handler of a call, in a room of its own, and returns its error.
func inside(
	t *testing.T, do func(ctx context.Context, c *plugin.Call) error, options ...plugintest.Option,
) (*plugintest.Room, *plugintest.Answer) {
	t.Helper()
	p := plugin.New("test", "1")
	p.Command(command("do"), func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
		return plugin.Text("done"), do(ctx, c)
	})
	room := plugintest.Open(t, p, options...)
	return room, room.As("alice", plugin.Registered).Says("!do")
}

func TestStoringValues(t *testing.T) {
	t.Parallel()
	type thing struct{ Name string }
	room, answer := inside(t, func(ctx context.Context, c *plugin.Call) error {
		kv, got := c.KV(), thing{"as it was"}
		if revision, err := kv.Get(ctx, "a", &got); err != nil || revision != 0 || got.Name != "as it was" {
			return fmt.Errorf("no such key: %v, %v, %w", revision, got, err)
		}
		first, err := kv.SetIf(ctx, "a", thing{"<one>"}, 0)
		if err != nil {
			return err
		}
		var conflict *plugin.ConflictError
		if _, err := kv.SetIf(ctx, "a", thing{"two"}, 0); !errors.As(err, &conflict) || conflict.Key != "a" {
			return fmt.Errorf("a key that exists: %w", err)
		}
		if revision, err := kv.Get(ctx, "a", &got); err != nil || revision != first || got.Name != "<one>" {
			return fmt.Errorf("%v, %v, %w", revision, got, err)
		}
		second, err := kv.Set(ctx, "a", thing{"two"})
		if err != nil || second == first {
			return fmt.Errorf("revision %v after %v: %w", second, first, err)
		}
		if err := kv.DeleteIf(ctx, "a", first); !errors.As(err, &conflict) {
			return fmt.Errorf("another revision: %w", err)
		}
		if existed, err := kv.Delete(ctx, "b"); err != nil || existed {
			return fmt.Errorf("no such key: %v, %w", existed, err)
		}
		for _, isNew := range []bool{true, false} {
			if created, err := kv.Create(ctx, "b", thing{"three"}); err != nil || created != isNew {
				return fmt.Errorf("created: %v, want %v, %w", created, isNew, err)
			}
		}
		all, err := plugin.All[thing](ctx, kv, "")
		want := []plugin.Stored[thing]{{"a", thing{"two"}}, {"b", thing{"three"}}}
		if err != nil || !slices.Equal(all, want) {
			return fmt.Errorf("all: %v, want %v, %w", all, want, err)
		}
		if wrong, err := plugin.All[int](ctx, kv, ""); err == nil || len(wrong) > 0 {
			return fmt.Errorf("values of another type were decoded: %v", wrong)
		}
		if _, err := kv.Get(ctx, "a", new(int)); err == nil {
			return errors.New("a value of another type was decoded")
		}
		return kv.DeleteIf(ctx, "a", second)
	})
	answer.Expects("done")
	if room.Stored("a", new(any)) {
		t.Error("the key is still there")
	}
}

func TestNothingIsLostByUpdatesAtTheSameTime(t *testing.T) {
	t.Parallel()
	room, answer := inside(t, func(ctx context.Context, c *plugin.Call) error {
		var all sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			all.Go(func() {
				_, updateErr := plugin.Update(ctx, c.KV(), "list", func(list []int) ([]int, error) {
					return append(list, i), nil
				})
				_, addErr := c.KV().Add(ctx, "sum", int64(i))
				errs[i] = errors.Join(updateErr, addErr)
			})
		}
		all.Wait()
		failed := errors.New("as it is")
		refuse := func([]int) ([]int, error) { return nil, failed }
		if _, err := plugin.Update(ctx, c.KV(), "list", refuse); !errors.Is(err, failed) {
			return fmt.Errorf("the error of the change: %w", err)
		}
		return errors.Join(errs...)
	})
	answer.Expects("done")
	var list []int
	var sum int
	if !room.Stored("list", &list) || !room.Stored("sum", &sum) || len(list) != 6 || sum != 15 {
		t.Errorf("%v, %v", list, sum)
	}
}

func TestListingKeysInPages(t *testing.T) {
	t.Parallel()
	_, answer := inside(t, func(ctx context.Context, c *plugin.Call) error {
		next := 0
		for entry, err := range c.KV().List(ctx, "n/") {
			var value int
			if err == nil {
				err = entry.Decode(&value)
			}
			if err != nil || value != next || entry.Key != fmt.Sprintf("n/%04d", next) || entry.Revision == 0 {
				return fmt.Errorf("%+v is %d, want %d: %w", entry, value, next, err)
			}
			next++
		}
		if next != 2500 {
			return fmt.Errorf("%d keys", next)
		}
		for _, err := range c.KV().List(ctx, "n/") {
			return err // whoever stops has seen enough
		}
		return errors.New("no keys")
	}, func(r *plugintest.Room) {
		for i := range 2500 {
			r.Store(fmt.Sprintf("n/%04d", i), i)
		}
		r.Store("m", 1)
		r.Store("o", 1)
	})
	answer.Expects("done")
}

func TestStorageThatIsFullOrAway(t *testing.T) {
	t.Parallel()
	_, answer := inside(t, func(ctx context.Context, c *plugin.Call) error {
		if _, err := c.KV().Set(ctx, "b", 1); !errors.Is(err, plugin.ErrFull) {
			return fmt.Errorf("one key more than there may be: %w", err)
		}
		if _, err := c.KV().Set(ctx, "a", strings.Repeat("x", bus.MaxKVValueBytes)); err == nil {
			return errors.New("a value that is too large was stored")
		}
		if _, err := c.KV().Set(ctx, "a", strings.Repeat("x", bus.MaxKVValueBytes-2)); err != nil {
			return err
		}
		if _, err := c.KV().Add(ctx, "a", 1); err == nil {
			return errors.New("a text has a sum")
		}
		if _, err := c.KV().Set(ctx, "", 1); err == nil {
			return errors.New("a key without a name was stored")
		}
		_, err := c.KV().Set(ctx, "a", 1)
		return err
	}, plugintest.Stored("a", 1), plugintest.MaxKeys(1))
	answer.Expects("done")
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	room, answer := inside(t, func(ctx context.Context, c *plugin.Call) error {
		_, setErr := c.KV().Set(ctx, "a", 1, plugin.Expires(time.Minute))
		_, addErr := c.KV().Add(ctx, "b", 1, plugin.Expires(time.Hour))
		return errors.Join(setErr, addErr)
	})
	answer.Expects("done")
	room.Pass(59 * time.Second)
	if !room.Stored("a", new(int)) || !room.Stored("b", new(int)) {
		t.Error("gone too early")
	}
	room.Pass(time.Second)
	if room.Stored("a", new(int)) || !room.Stored("b", new(int)) {
		t.Error("not gone, or the wrong one")
	}
}

func TestWhatAPluginDoesInTheChannel(t *testing.T) {
	t.Parallel()
	room, answer := inside(t, func(ctx context.Context, c *plugin.Call) error {
		state, err := c.State(ctx, plugin.Users)
		if err != nil || state.Self != plugintest.BotName {
			return fmt.Errorf("%+v: %w", state, err)
		}
		if polls, err := c.State(ctx, plugin.Polls); err != nil || polls.Poll.Title != "What?" {
			return fmt.Errorf("%+v: %w", polls, err)
		}
		return errors.Join(c.Say(ctx, "one", "two"), c.Whisper(ctx, "bob", "three"), c.Queue(ctx, "four"),
			c.Act(ctx, plugin.PlaylistAdd, plugin.Action{URL: "https://example.com/a.mp4"}))
	}, func(r *plugintest.Room) { r.Polls(&bus.Poll{Title: "What?"}) })
	answer.Expects("done")
	room.Hears("^one$")
	room.Hears("^two$")
	room.HearsPrivately("bob", "^three$")
	if line := room.Hears("^four$"); !line.Queued || line.Call == "" {
		t.Errorf("%+v", line)
	}
	room.Silent()
	acts := room.Acts()
	if len(acts) != 1 || acts[0].Verb != plugin.PlaylistAdd || acts[0].URL == "" || acts[0].Call == "" {
		t.Errorf("%+v", acts)
	}
}

func TestWhatCannotBeSaidIsNotSent(t *testing.T) {
	t.Parallel()
	room, answer := inside(t, func(ctx context.Context, c *plugin.Call) error {
		for _, lines := range [][]string{
			{"1", "2", "3", "4", "5", "6"}, {"/clear"}, {""}, {"a\nb"}, {strings.Repeat("x", 321)},
		} {
			if c.Say(ctx, lines...) == nil || c.Whisper(ctx, "bob", lines...) == nil {
				return fmt.Errorf("%q was said", lines)
			}
		}
		if c.Queue(ctx, "/clear") == nil {
			return errors.New("a command was queued")
		}
		return nil
	})
	answer.Expects("done")
	room.Silent()
}

func TestAPluginLearnsWhatItHasAdded(t *testing.T) {
	t.Parallel()
	room, answer := inside(t, func(ctx context.Context, c *plugin.Call) error {
		short, err := c.CheckAdd(ctx, "https://youtu.be/abc")
		if long, err := c.CheckAdd(ctx, "https://www.youtube.com/watch?v=abc"); err != nil || long.ID == "" || short != long {
			return fmt.Errorf("one film under two links: %+v, %+v, %w", short, long, err)
		}
		if err != nil {
			return err
		}
		_, err = c.CheckAdd(ctx, "the film with the alien")
		refusal, isRefusal := errors.AsType[*plugin.RequestError](err)
		if !isRefusal || !errors.Is(err, plugin.ErrInvalid) || refusal.Why != "expected the link of a video" {
			return fmt.Errorf("no link: %w", err)
		}
		first, firstErr := c.Add(ctx, "yt:abc")
		second, secondErr := c.Add(ctx, "https://example.org/a.mp4")
		if first.UID == second.UID || second.Title != "Film https://example.org/a.mp4" {
			return fmt.Errorf("%+v, %+v", first, second)
		}
		return errors.Join(firstErr, secondErr)
	})
	answer.Expects("done")
	if acts := room.Acts(); len(acts) != 2 {
		t.Errorf("%+v", acts)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	room, answer := inside(t, func(ctx context.Context, c *plugin.Call) error {
		if err := c.Say(ctx, "hi"); !errors.Is(err, plugin.ErrNotGranted) {
			return fmt.Errorf("saying: %w", err)
		}
		err := c.Act(ctx, plugin.Kick, plugin.Action{User: "bob"})
		if err == nil || errors.Is(err, plugin.ErrNotGranted) || !strings.Contains(err.Error(), "bob is the owner") {
			return fmt.Errorf("kicking: %w", err)
		}
		if _, err := c.Add(ctx, "yt:abc"); !errors.Is(err, plugin.ErrUnconfirmed) {
			return fmt.Errorf("adding: %w", err)
		}
		return nil
	}, func(r *plugintest.Room) {
		r.Deny("say", "the plugin has no grant")
		r.Refuse(plugin.Kick, "bob is the owner")
		r.LeaveUnconfirmed(plugin.PlaylistAdd)
	})
	answer.Expects("done")
	room.Silent()
}

// Without a bot a plugin does not wait until somebody is there.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	p, errs := plugin.New("test", "1"), make(chan error, 3)
	p.Command(command("try"), func(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
		_, err := c.KV().Get(ctx, "a", new(int))
		errs <- err
		errs <- c.Say(ctx, "hi")
		_, err = c.State(ctx, plugin.Media)
		errs <- err
		return plugin.Reply{}, nil
	})
	r := start(t, p)
	r.call("try", "alice", "1")
	for range 3 {
		if err := <-errs; !errors.Is(err, plugin.ErrAway) {
			t.Errorf("%v", err)
		}
	}
}

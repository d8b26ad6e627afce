package host

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin"
	"rosey.dev/rosey/runtime/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hostRig is a Host whose list a test changes.
type hostRig struct {
	host   *Host
	client *nats.Conn

	mu   sync.Mutex
	list []config.Plugin
	err  error
	// said are the hello and bye of all plugins, in their order.
	said []string
}

func (r *hostRig) set(err error, list ...config.Plugin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list, r.err = list, err
}

func (r *hostRig) wanted() ([]config.Plugin, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list, r.err
}

func (r *hostRig) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.said)
}

func startHost(t *testing.T, list ...config.Plugin) *hostRig {
	t.Helper()
	server := natstest.Start(t)
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	r := &hostRig{list: list}
	client := server.Client()
	r.client = client
	_, err = client.Subscribe("rosey.plugin.movies.*.out.>", func(m *nats.Msg) {
		_, name, rest, _ := subjects.PluginOfSubject(m.Subject)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.said = append(r.said, name+" "+rest)
	})
	if err == nil {
		err = client.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.host = New(Options{
		Wanted: r.wanted, Subjects: subjects, Server: "https://cytu.be", Channel: "movies", Log: natstest.Log(t),
		Connect: func(ctx context.Context, own bus.PluginSubjects) (*bus.Conn, error) {
			return bus.Connect(ctx, bus.Options{
				URL: server.URL(), InboxPrefix: own.InboxPrefix(), Log: natstest.Log(t),
			})
		},
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.host.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return r
}

func (r *hostRig) waitFor(t *testing.T, want ...string) {
	t.Helper()
	natstest.Within(t, 20*time.Second, "what plugins say", func() bool { return len(r.all()) >= len(want) })
	said := r.all()
	slices.Sort(said)
	slices.Sort(want)
	if !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
	r.mu.Lock()
	r.said = nil
	r.mu.Unlock()
}

// A plugin that is changed must not interrupt the others.
func TestAChangeRestartsThatPluginAlone(t *testing.T) {
	t.Parallel()
	one := config.Plugin{Name: "one", Builtin: "dice"}
	two := config.Plugin{Name: "two", Builtin: "dice"}
	foreign := config.Plugin{Name: "foreign"}
	r := startHost(t, one, two, foreign)
	r.waitFor(t, "one out.hello", "two out.hello")
	changed := two
	changed.Config = map[string]string{"maxDice": "3"}
	r.set(nil, changed, one)
	r.waitFor(t, "two out.bye", "two out.hello")
	granted := one
	granted.Grants = &config.PluginGrants{Say: true} // it is not the plugin that needs to know
	r.set(nil, granted, changed, config.Plugin{Name: "three", Builtin: "countdown"})
	r.waitFor(t, "three out.hello")
	r.set(errors.New("a comma is missing"))
	natstest.Within(t, 20*time.Second, "the problem", func() bool { return !r.host.Checks()[0]().OK })
	check := r.host.Checks()[0]()
	if check.Reason != status.ReasonPluginsInvalid || check.Message != "a comma is missing" {
		t.Errorf("%+v", check)
	}
	r.set(nil, one)
	r.waitFor(t, "two out.bye", "three out.bye")
	if reports := r.host.Plugins(); len(reports) != 1 || !reports[0].OK || reports[0].Reason != status.ReasonReady {
		t.Errorf("%+v", reports)
	}
}

// A plugin that cannot run is in the status, and the others run.
func TestAPluginThatFailsFailsAlone(t *testing.T) {
	t.Parallel()
	r := startHost(t, config.Plugin{Name: "one", Builtin: "dice"}, config.Plugin{Name: "two", Builtin: "chess"},
		config.Plugin{Name: "three", Builtin: "dice", Config: map[string]string{"maxDice": "many"}})
	r.waitFor(t, "one out.hello", "three out.hello")
	natstest.Within(t, 20*time.Second, "the failure", func() bool {
		reports := r.host.Plugins()
		return len(reports) == 3 && reports[0].OK && reports[2].Reason == status.ReasonPluginFailed
	})
	reports := r.host.Plugins()
	if two := reports[2]; two.OK || two.Message != `builtin "chess": expected one of `+
		strings.Join(builtin.Names(), ", ") {
		t.Errorf("%+v", two)
	}
	if three := reports[1]; three.OK || three.Reason != status.ReasonPluginSettingsInvalid {
		t.Errorf("%+v", three)
	}
	if check := r.host.Checks()[0](); check.OK {
		t.Errorf("%+v", check)
	}
}

// A plugin whose start fails is started again.
func TestAPluginThatFailedIsStartedAgain(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	attempts := 0
	r := startHost(t)
	r.host.new = func(string) (*plugin.Plugin, bool) {
		p := plugin.New("flaky", "1")
		p.OnStart(func(context.Context, *plugin.Channel) error {
			mu.Lock()
			defer mu.Unlock()
			if attempts++; attempts < 2 {
				return errors.New("not yet")
			}
			return nil
		})
		return p, true
	}
	r.set(nil, config.Plugin{Name: "one", Builtin: "flaky"})
	r.waitFor(t, "one out.hello")
}

func TestEveryBuiltinPluginIsRight(t *testing.T) {
	t.Parallel()
	for _, name := range builtin.Names() {
		p, exists := builtin.New(name)
		if !exists || p.Name() != name || p.Problems() != nil {
			t.Errorf("%s: %v", name, p.Problems())
		}
	}
}

// A plugin that is put back into the list while it ends must not run twice.
func TestAPluginThatIsPutBackWaitsForTheOneThatEnds(t *testing.T) {
	t.Parallel()
	r, started, release, called := startHost(t), make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	r.host.new = func(string) (*plugin.Plugin, bool) {
		p := plugin.New("slow", "1")
		p.OnStart(func(context.Context, *plugin.Channel) error { started <- struct{}{}; return nil })
		p.Command(plugin.Command{Name: "hang"}, func(context.Context, *plugin.Call) (plugin.Reply, error) {
			close(called)
			<-release
			return plugin.Reply{}, nil
		})
		return p, true
	}
	one := config.Plugin{Name: "one", Builtin: "slow"}
	r.set(nil, one)
	r.waitFor(t, "one out.hello")
	<-started
	m := &nats.Msg{Subject: "rosey.plugin.movies.one.in.call.hang", Reply: "_INBOX.x",
		Data: []byte(`{"call":"1","user":{"name":"alice"}}`)}
	if err := r.client.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	<-called
	r.set(nil)
	r.waitFor(t, "one out.bye")
	r.set(nil, one)
	natstest.Within(t, 20*time.Second, "it is wanted again", func() bool { return len(r.host.Plugins()) == 1 })
	select {
	case <-started:
		t.Error("it runs beside the one that ends")
	case <-time.After(200 * time.Millisecond): // long enough to show that it does not
	}
	close(release)
	r.waitFor(t, "one out.hello")
}

// A failure after hours is not the next one of those that were hours ago.
func TestThePauseOfAPluginThatRanForLongIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var pauses []time.Duration
		subjects, err := bus.NewSubjects("rosey")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var failed time.Time
		h := New(Options{
			Subjects: subjects, Channel: "movies", Log: natstest.Log(t),
			Wanted: func() ([]config.Plugin, error) { return []config.Plugin{{Name: "one", Builtin: "dice"}}, nil },
			Connect: func(context.Context, bus.PluginSubjects) (*bus.Conn, error) {
				if !failed.IsZero() {
					pauses = append(pauses, time.Since(failed))
				}
				if len(pauses) == 10 {
					stop()
				}
				time.Sleep(settled + time.Second)
				failed = time.Now()
				return nil, errors.New("broken")
			},
		})
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		if longest := slices.Max(pauses); longest > 2*minPause {
			t.Errorf("a pause of %s", longest)
		}
	})
}

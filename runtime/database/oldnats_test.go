package database_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
)

// newVersionRig returns a rig whose server has another version, and JetStream.
func newVersionRig(t *testing.T, version string) *rig {
	t.Helper()
	url := natstest.StartVersion(t, version, "jetstream: {store_dir: "+t.TempDir()+"}")
	client, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &rig{t: t, url: url, client: client, path: t.TempDir() + "/rosey.db"}
}

// The oldest NATS that is supported keeps events while no service runs, and has the guard against a second database.
func TestOldestNATS(t *testing.T) {
	t.Parallel()
	r := newVersionRig(t, bus.MinServerVersion)
	first := r.startWithStream()
	r.publish(bus.MessageLog, `{"username":"alice","message":"a"}`)
	r.waitUntilStreamStored()
	r.stop(first)
	r.publish(bus.MessageLog, `{"username":"alice","message":"b"}`)
	r.startWithStream()
	r.waitUntilStreamStored()
	if got := strings.Join(r.texts(), " "); got != "a b" {
		t.Errorf("stored: %s", got)
	}
	r.path = t.TempDir() + "/another.db"
	second := r.start(r.withStream)
	natstest.Eventually(t, "the conflict", func() bool {
		return second.EventsCheck().Reason == status.ReasonSubjectConflict
	})
}

// An older NATS drops a stream's metadata without an error. With the mode auto, events go by core NATS, and the check
// says which version the stream needs; with always, they wait.
func TestNATSThatIsTooOldForAStream(t *testing.T) {
	t.Parallel()
	r := newVersionRig(t, "2.9")
	const want = "the NATS server has version 2.9.25, and a stream of events needs NATS 2.10 or later"
	service := r.ready(r.start(r.withStream))
	check := service.EventsCheck()
	if !check.OK || check.Reason != status.ReasonCoreOnly || !strings.Contains(check.Message, want) {
		t.Errorf("auto: %+v", check)
	}
	r.publish(bus.MessageLog, `{"username":"alice","message":"a"}`)
	r.waitUntilStored()
	if got := strings.Join(r.texts(), " "); got != "a" {
		t.Errorf("stored: %q", got)
	}
	r.stop(service)
	for name, change := range map[string]func(*config.JetStream){
		"always": func(j *config.JetStream) { j.Mode = config.JetStreamAlways },
		"manual": func(j *config.JetStream) { j.Provisioning = config.ProvisioningManual },
	} {
		waiting := r.start(func(o *database.ServiceOptions) { o.Binding = bind(t, o.Conn, change) })
		natstest.Eventually(t, name+": the version in the check", func() bool {
			check := waiting.EventsCheck()
			return !check.OK && check.Reason == status.ReasonJetStreamMissing && strings.Contains(check.Message, want)
		})
		r.stop(waiting)
	}
}

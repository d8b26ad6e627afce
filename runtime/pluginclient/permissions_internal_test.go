package pluginclient

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// connected returns a client of plugins with these names, on a server with users.
func connected(t *testing.T, permissions *server.Permissions, names ...string) *Client {
	t.Helper()
	natsServer := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "bot", Password: "pw", Permissions: permissions}}
	})
	conn, err := bus.Connect(t.Context(), bus.Options{
		URL: "nats://bot:pw@" + strings.TrimPrefix(natsServer.URL(), "nats://"), Log: natstest.Log(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	c := newTestClient(t, names...)
	c.Conn = conn
	return c
}

func TestPluginsWhosePermissionsAreOpenAreNamed(t *testing.T) {
	t.Parallel()
	c := connected(t, nil, "dice", "quotes")
	for name, metadata := range map[string]string{"dice": bus.PermissionsOpen, "quotes": ""} {
		p := c.find(name)
		one, ok := readInstance(p.subjects, []byte(`{"name":"`+p.subjects.ServiceName()+`","id":"1","metadata":{"`+
			bus.PermissionsMetadata+`":"`+metadata+`"}}`))
		if !ok {
			t.Fatal("it is no process of the plugin")
		}
		if why := c.NotEnforced(); name == "quotes" && metadata != "" && why != "" {
			t.Errorf("%s: %s", name, why)
		}
		p.settle(t.Context(), map[string]Instance{"1": one})
	}
	if why := c.NotEnforced(); !strings.HasPrefix(why, "the NATS user of dice may receive what is for other plugins") {
		t.Errorf("%q", why)
	}
	c.find("dice").settle(t.Context(), nil)
	if why := c.NotEnforced(); why != "" {
		t.Errorf("%q", why)
	}
}

// A bot that may not ask for a plugin must not say that the plugin is away.
func TestABotThatMayNotAskIsToldApartFromAPluginThatIsAway(t *testing.T) {
	t.Parallel()
	deny := &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$SRV.INFO.rosey_movienight_dice"}}}
	c := connected(t, deny, "dice", "quotes")
	c.timings.Answer, c.timings.Gather = c.timings.Gather, 0
	for name, want := range map[string]struct {
		reason  status.Reason
		message string
	}{
		"dice": {status.ReasonNATSPermissionMissing,
			`the bot's NATS user may not publish to "$SRV.INFO.rosey_movienight_dice"`},
		"quotes": {status.ReasonPluginAbsent, "no process of the plugin answers"},
	} {
		p := c.find(name)
		p.look(t.Context())
		natstest.Eventually(t, name+": "+want.message, func() bool {
			report := p.report(true)
			return !report.OK && report.Reason == want.reason && report.Message == want.message
		})
	}
	p := c.find("quotes")
	p.greeted()
	if got := p.report(true).Message; got != "no process of the plugin answers" {
		t.Errorf("before it was asked: %s", got)
	}
	p.look(t.Context())
	if got := p.report(true).Message; !strings.Contains(got, "says hello and does not answer") {
		t.Error(got)
	}
	p.bye(t.Context(), "1")
	if got := p.report(true).Message; got != "no process of the plugin answers" {
		t.Error(got)
	}
}

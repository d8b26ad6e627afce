package plugin

import (
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// CheckName returns the name of a plugin's check in /status.
func CheckName(plugin string) status.CheckName { return status.CheckName("plugin-" + plugin) }

// Check returns whether the plugin can be called, and if not, why: it has not started, the server has refused a
// subscription, its handlers do not end, or a setting has a wrong value.
func (p *Plugin) Check() status.Check {
	r := p.runner.Load()
	if r == nil {
		return status.Check{
			Name: CheckName(p.name), Reason: status.ReasonStarting, Message: "the plugin has not started", Since: time.Now(),
		}
	}
	ok, reason, message := r.state()
	r.check.Set(ok, reason, message)
	return r.check.Check()
}

func (r *runner) state() (ok bool, reason status.Reason, message string) {
	connection := r.options.Conn.Check()
	if !r.isReady() {
		return false, status.ReasonStarting, "the plugin is starting"
	}
	if refused := r.refused(); len(refused) > 0 {
		return false, status.ReasonNATSPermissionMissing, fmt.Sprintf(
			"the NATS user of the plugin may not subscribe to %q: it lacks a grant, or its permissions are old", refused)
	}
	_, settings := r.settings.read()
	switch stuck := r.calls.stuck(time.Now()); {
	case !connection.OK:
		return false, connection.Reason, connection.Message
	case stuck >= bus.MaxPluginCalls:
		return false, status.ReasonPluginBusy, fmt.Sprintf("%d handlers go on although their time is over: no call is taken",
			stuck)
	case settings != "":
		return false, status.ReasonPluginSettingsInvalid, settings
	}
	return true, status.ReasonReady, fmt.Sprintf("%d commands, %d events", len(r.plugin.declared()), len(r.plugin.events))
}

// refused returns the subjects to which the server does not let the plugin subscribe.
func (r *runner) refused() (subjects []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, subscription := range slices.Concat(r.subscriptions, r.feeds) {
		if r.options.Conn.Denied(subscription.Subject) {
			subjects = append(subjects, subscription.Subject)
		}
	}
	if r.discovery.Refused() {
		subjects = append(subjects, micro.APIPrefix+".INFO."+r.subjects.ServiceName())
	}
	slices.Sort(subjects)
	return subjects[:min(len(subjects), 3)]
}

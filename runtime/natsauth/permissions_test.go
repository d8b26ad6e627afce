package natsauth_test

import (
	"slices"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/natsauth"
)

// allOptions are all combinations that change permissions.
func allOptions(t *testing.T) (all []natsauth.Options) {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	plugins := []natsauth.Plugin{
		{Channel: "movies", Name: "dice"}, {Channel: "movies", Name: "weather", Grants: allGrants()},
	}
	for _, mode := range []string{config.JetStreamAuto, config.JetStreamAlways, config.JetStreamNever} {
		for flags := range 16 {
			all = append(all, natsauth.Options{
				Subjects: subjects, JetStream: mode, Manual: flags&1 > 0, Standby: flags&2 > 0, Commands: flags&4 > 0,
				WebReadOnly: flags&8 > 0, Plugins: plugins,
			})
		}
	}
	return all
}

func TestNoSubscriptionPermissionEndsInAsterisk(t *testing.T) {
	for _, o := range allOptions(t) {
		for _, role := range append(natsauth.Roles(), bus.AdminRole, bus.PluginRole) {
			for _, entry := range o.For(role).Subscribe.Allow {
				if subject, _, _ := strings.Cut(entry, " "); strings.Contains(subject, "*") {
					t.Errorf("%s: %s", role, entry)
				}
			}
		}
	}
}

func TestOnlyBotAndServiceCreateAndWithAnAdministratorNobody(t *testing.T) {
	creates := func(subject string) bool {
		for _, verb := range []string{"CREATE", "UPDATE", "DELETE", "PURGE", "RESTORE", "SNAPSHOT", "DIRECT"} {
			if strings.Contains(subject, "."+verb+".") {
				return true
			}
		}
		return false
	}
	for _, o := range allOptions(t) {
		for _, role := range natsauth.Roles() {
			may := !o.Manual && (role == bus.BotRole || role == bus.ServiceRole) && o.JetStream != config.JetStreamNever
			allowed := o.For(role).Publish.Allow
			if got := slices.ContainsFunc(allowed, creates); got != may {
				t.Errorf("%s, %+v: creates: %t, want %t", role, o, got, may)
			}
		}
	}
}

func TestEmptyListDeniesEverything(t *testing.T) {
	for _, o := range allOptions(t) {
		for _, role := range append(natsauth.Roles(), bus.AdminRole, bus.PluginRole) {
			p := o.For(role)
			if len(p.Publish.Allow) == 0 && !slices.Contains(p.Publish.Deny, ">") || len(p.Subscribe.Allow) == 0 {
				t.Errorf("%s, %+v: everything is allowed: %+v", role, o, p)
			}
		}
	}
}

func TestEachEntryHasAReason(t *testing.T) {
	for _, o := range allOptions(t) {
		for _, role := range append(natsauth.Roles(), bus.AdminRole, bus.PluginRole) {
			for _, grant := range o.Grants(role) {
				if grant.Why == "" || len(grant.Publish)+len(grant.Subscribe) == 0 && grant.Responses == nil {
					t.Errorf("%s: %+v", role, grant)
				}
			}
		}
	}
	if grants := (natsauth.Options{}).Grants("stranger"); grants != nil {
		t.Errorf("a stranger may %v", grants)
	}
}

// TestAWebPageWithoutTokensOnlyReads checks that a web page on which nobody may do anything has no permission to, and
// that one with tokens has none to act with the bot's rank unless that was asked for.
func TestAWebPageWithoutTokensOnlyReads(t *testing.T) {
	act := []bus.Suffix{bus.OutboundPut, bus.OutboundCancel, bus.AnyDead}
	never := slices.Concat(bus.Events, []bus.Suffix{bus.OutboundGet, bus.MaintenanceRun, bus.KVSet, bus.KVGet,
		bus.PeopleExport, bus.PeopleForget})
	for _, o := range allOptions(t) {
		p := o.For(bus.WebRole)
		may := func(suffix bus.Suffix) bool { return slices.Contains(p.Publish.Allow, o.Subjects.Subject(suffix)) }
		for _, suffix := range act {
			if may(suffix) == o.WebReadOnly {
				t.Errorf("%+v: %s: %t", o, suffix, may(suffix))
			}
		}
		for _, suffix := range never {
			if may(suffix) {
				t.Errorf("%+v: %s", o, suffix)
			}
		}
		if may(bus.OutboundPutCommand) != (o.Commands && !o.WebReadOnly) {
			t.Errorf("%+v: %s: %t", o, bus.OutboundPutCommand, may(bus.OutboundPutCommand))
		}
	}
}

package natsauth

import (
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// roles is the table of the roles and their grants.
var roles = []struct {
	role   bus.Role
	about  string
	grants func(Options) []Grant
}{
	{bus.BotRole, "rosey bot", Options.bot},
	{bus.ServiceRole, "rosey db", Options.service},
	{bus.CLIRole, "rosey say, tail, top and user", Options.cli},
	{bus.WebRole, "rosey web", Options.web},
	{bus.PluginRole, "a plugin", Options.plugins},
	{bus.AdminRole, "rosey nats create, list and remove", Options.admin},
}

// Roles returns the roles of Rosey's processes. Plugins, of which there may be several, are not among them.
func Roles() []bus.Role { return []bus.Role{bus.BotRole, bus.ServiceRole, bus.CLIRole, bus.WebRole} }

// About returns what a role is for, in a few words.
func About(role bus.Role) string {
	for _, row := range roles {
		if row.role == role {
			return row.about
		}
	}
	return string(role)
}

// requestSubjects are the requests that the database service answers.
var requestSubjects = []bus.Suffix{
	bus.OutboundGet, bus.OutboundPut, bus.OutboundPutCommand, bus.OutboundCancel, bus.StatsRecentChat,
	bus.MaintenanceRun, bus.AllQueries, bus.AllKV, bus.AllDead, bus.AllPeople,
}

// noGroups denies subscriptions in any queue group: a member of the service's group would take messages from it.
const noGroups = "> >"

// responseTime is how long a process may take for a reply. Clients wait for 2 s, and for a minute where a request is
// documented to take longer.
const responseTime = 70 * time.Second

func oneReply() *Responses { return &Responses{Max: 1, Expires: responseTime} }

func (o Options) bot() []Grant {
	grants := []Grant{
		{Why: "replies, and the acknowledgements of JetStream", Subscribe: o.inbox(bus.BotRole)},
		{Why: "events for the database", Publish: o.subjects(bus.Events...)},
		{Why: "requests to the database", Publish: o.subjects(
			bus.OutboundGet, bus.QueryChannelStats, bus.QueryUserStats)},
		{Why: "calling plugins, and asking for those that are configured", Publish: append(
			o.subjects(bus.AnyPluginCall, bus.AnyPluginCancel), "$SRV.INFO.*", "$SRV.PING.*")},
		{Why: "what plugins say and do", Subscribe: o.subjects(bus.AllPlugins)},
		{Why: "lines of plugins that outlive a restart", Publish: o.subjects(bus.OutboundPut)},
		{Why: "the announcement of a line to say", Subscribe: o.subjects(bus.AllOutbound)},
		{Why: "what happens in the channel, for anyone to watch", Publish: o.subjects(bus.AllFeeds)},
		{Why: "requests for the state of the channel and of the process", Subscribe: o.subjects(
			bus.AllChannels, bus.StatusGet), Responses: oneReply()},
	}
	if o.JetStream == config.JetStreamNever {
		return grants
	}
	grants = append(grants, o.events()...)
	if !o.Standby {
		return grants
	}
	bucket := o.Subjects.LockStream()
	key := "$KV." + o.Subjects.LockBucket() + ".>"
	grants = append(grants, o.bucket()...)
	grants = append(grants, Grant{Why: "writing the leader key", Publish: []string{key}})
	if o.Manual {
		return append(grants, Grant{Why: "reading the leader key", Publish: api("STREAM.MSG.GET." + bucket)})
	}
	return append(grants,
		Grant{Why: "reading the leader key", Publish: api("DIRECT.GET." + bucket + "." + key)},
		Grant{Why: "watching the leader key", Publish: append(
			api("CONSUMER.CREATE."+bucket+".*."+key, "CONSUMER.DELETE."+bucket+".*"), "$JS.FC."+bucket+".>")})
}

func (o Options) service() []Grant {
	group, name := o.Subjects.QueueGroup(), o.Subjects.ConsumerName()
	received := Grant{Why: "requests, in the queue group of the services alone",
		Subscribe: inGroup(o.subjects(requestSubjects...), group)}
	if o.JetStream != config.JetStreamAlways && !o.Manual {
		// One entry: a credential with a list of all of them would be too long.
		received = Grant{Why: "requests, and events where there is no stream, in the queue group of the services alone",
			Subscribe: inGroup(o.subjects(bus.AllDatabase), group)}
	}
	grants := []Grant{
		received,
		{Why: "one reply to each request", Responses: oneReply()},
		{Why: "requests for the status of the process", Subscribe: o.subjects(bus.StatusGet)},
		{Why: "announcing a line to the bot that says it", Publish: o.subjects(bus.AnyOutboundWaiting)},
		{Why: "replies, and the events that JetStream delivers", Subscribe: o.inbox(bus.ServiceRole)},
		{Why: "`rosey db dead` beside the service", Publish: o.subjects(bus.AnyDead)},
	}
	discovery := Grant{Why: "discovery by `nats micro`"}
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		subject := "$SRV." + verb
		discovery.Subscribe = append(discovery.Subscribe, subject, subject+"."+name, subject+"."+name+".>")
	}
	grants = append(grants, discovery)
	if o.JetStream == config.JetStreamNever {
		return grants
	}
	consumer := o.Subjects.StreamName() + "." + name
	grants = append(grants, o.events()...)
	if !o.Manual {
		grants = append(grants, Grant{Why: "creating its consumer", Publish: api("CONSUMER.CREATE." + consumer)})
	}
	grants = append(grants, Grant{Why: "reading events again that a restored database does not have",
		Publish: api("STREAM.MSG.GET." + o.Subjects.StreamName())})
	return append(grants, Grant{Why: "consuming events", Publish: append(
		api("CONSUMER.INFO."+consumer, "CONSUMER.MSG.NEXT."+consumer), "$JS.ACK."+consumer+".>")})
}

func (o Options) cli() []Grant {
	grants := []Grant{
		{Why: "replies", Subscribe: o.inbox(bus.CLIRole)},
		{Why: "top and user", Publish: o.subjects(bus.QueryChannelStats, bus.QueryUserStats)},
		{Why: "say", Publish: o.subjects(bus.OutboundPut)},
		{Why: "plugin ls and check, which ask those that are configured", Publish: []string{"$SRV.INFO.*", "$SRV.PING.*"}},
		{Why: "tail, which only listens", Subscribe: o.subjects(bus.AllDatabase, "events.>", bus.AllChannels, bus.StatusGet,
			bus.AllPlugins), DenySubscribe: []string{noGroups}},
	}
	if o.Commands {
		grants = append(grants, Grant{
			Why: `say with a line that begins with "/"`, Publish: o.subjects(bus.OutboundPutCommand)})
	}
	if o.People {
		grants = append(grants, Grant{
			Why: "user export and user forget", Publish: o.subjects(bus.PeopleExport, bus.PeopleForget)})
	}
	return grants
}

func (o Options) web() []Grant {
	grants := []Grant{
		{Why: "replies", Subscribe: o.inbox(bus.WebRole)},
		{Why: "what happens in the channel", Subscribe: o.subjects(bus.AllFeeds), DenySubscribe: []string{noGroups}},
		{Why: "reading what is stored", Publish: o.subjects(bus.AnyQuery)},
		{Why: "who is in the channel and what plays, and which commands there are", Publish: o.subjects(
			bus.AnyChannelGet, bus.AnyCommandsGet)},
		{Why: "the status of all processes", Publish: o.subjects(bus.StatusGet)},
		{Why: "its own status", Subscribe: o.subjects(bus.StatusGet), Responses: oneReply()},
	}
	if o.WebReadOnly {
		return grants
	}
	grants = append(grants,
		Grant{Why: "lines to say, and taking them back", Publish: o.subjects(bus.OutboundPut, bus.OutboundCancel)},
		Grant{Why: "dead letters", Publish: o.subjects(bus.AnyDead)})
	if o.Commands {
		grants = append(grants, Grant{Why: `lines that begin with "/"`, Publish: o.subjects(bus.OutboundPutCommand)})
	}
	return grants
}

func (o Options) admin() []Grant {
	stream := o.Subjects.StreamName()
	consumer := stream + "." + o.Subjects.ConsumerName()
	o.Manual = false
	grants := []Grant{{Why: "replies", Subscribe: o.inbox(bus.AdminRole)}}
	grants = append(grants, o.events()...)
	grants = append(grants, Grant{Why: "the service's consumer", Publish: api(
		"CONSUMER.INFO."+consumer, "CONSUMER.CREATE."+consumer)})
	grants = append(grants, o.bucket()...)
	return append(grants, Grant{Why: "removing them", Publish: api(
		"STREAM.DELETE."+stream, "STREAM.DELETE."+o.Subjects.LockStream())})
}

// events returns the grants for the stream of events.
func (o Options) events() []Grant {
	grants := o.stream(o.Subjects.StreamName(), "the stream of events")
	if !o.Manual {
		grants = append(grants, Grant{Why: "naming a stream that is in the way", Publish: api("STREAM.NAMES")})
	}
	return grants
}

// bucket returns the grants for the bucket of the leader election, which is a stream.
func (o Options) bucket() []Grant {
	grants := o.stream(o.Subjects.LockStream(), "the bucket of the leader election")
	if !o.Manual {
		grants = append(grants, Grant{Why: "the version of the server, before a bucket is created", Publish: api("INFO")})
	}
	return grants
}

// stream returns the grants for whoever uses a stream, and creates it unless an administrator does.
func (o Options) stream(name, what string) []Grant {
	grants := []Grant{{Why: what, Publish: api("STREAM.INFO." + name)}}
	if !o.Manual {
		grants = append(grants, Grant{
			Why: "creating " + what, Publish: api("STREAM.CREATE."+name, "STREAM.UPDATE."+name)})
	}
	return grants
}

func (o Options) inbox(role bus.Role) []string { return []string{o.Subjects.InboxPrefix(role) + ".>"} }

func (o Options) subjects(suffixes ...bus.Suffix) (subjects []string) {
	for _, suffix := range suffixes {
		subjects = append(subjects, o.Subjects.Subject(suffix))
	}
	return subjects
}

// inGroup allows subjects in one queue group alone.
func inGroup(subjects []string, group string) []string {
	for i := range subjects {
		subjects[i] += " " + group
	}
	return subjects
}

func api(requests ...string) (subjects []string) {
	for _, request := range requests {
		subjects = append(subjects, "$JS.API."+request)
	}
	return subjects
}

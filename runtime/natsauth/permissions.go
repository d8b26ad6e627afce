package natsauth

import (
	"slices"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// Permissions are the permissions of a NATS user. The JSON form is what `rosey nats permissions --format json` prints.
type Permissions struct {
	Publish   Subjects `json:"publish"`
	Subscribe Subjects `json:"subscribe"`
	// Responses lets the user reply to requests. Nil: it may not, unless Publish allows the reply's subject.
	Responses *Responses `json:"allowResponses,omitempty"`
}

// Subjects are subjects, possibly with wildcards. Those for subscriptions may be followed by a space and a queue group.
// Deny has precedence. An empty Allow allows nothing.
type Subjects struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny,omitempty"`
}

// Responses bound the replies to one request.
type Responses struct {
	// Max is how many messages may be sent to the reply subject.
	Max int `json:"max"`
	// Expires is how long after the request.
	Expires time.Duration `json:"expires"`
}

// Grant is a part of a role's permissions with the reason for it.
type Grant struct {
	// Why says what the process does with it.
	Why                string
	Publish, Subscribe []string
	// DenySubscribe is what would otherwise be allowed by Subscribe.
	DenySubscribe []string
	Responses     *Responses
}

// Options are what permissions depend on, beside the role.
type Options struct {
	Subjects bus.Subjects
	// JetStream is nats.jetStream.mode: config.JetStreamAuto, JetStreamAlways or JetStreamNever. Empty: auto.
	JetStream string
	// Manual: an administrator creates stream, consumer and bucket, and the processes may not.
	Manual bool
	// Standby adds the leader election of several bots.
	Standby bool
	// Commands lets the command line and the web page have the bot say lines that begin with "/", which act with the
	// bot's rank.
	Commands bool
	// People lets the command line export and remove what is stored about a person.
	People bool
	// Plugins are those of a user with bus.PluginRole.
	Plugins []Plugin
	// WebReadOnly is for a web page on which nobody may do anything but read: it has no tokens.
	WebReadOnly bool
}

// Grants returns the grants of a role, in the order in which they are printed. It returns nil for an unknown role.
func (o Options) Grants(role bus.Role) []Grant {
	for _, row := range roles {
		if row.role == role {
			return row.grants(o)
		}
	}
	return nil
}

// For returns the permissions of a user that has one role, or several: a Secret may serve both bot and service.
func (o Options) For(roles ...bus.Role) Permissions {
	var all []Grant
	for _, role := range roles {
		all = append(all, o.Grants(role)...)
	}
	return merge(all, len(roles) > 1)
}

// merge joins grants. A user of several roles is not denied what one of the roles needs.
func merge(grants []Grant, several bool) Permissions {
	p := Permissions{Publish: Subjects{Allow: []string{}}, Subscribe: Subjects{Allow: []string{}}}
	for _, grant := range grants {
		p.Publish.Allow = appendMissing(p.Publish.Allow, grant.Publish)
		p.Subscribe.Allow = appendMissing(p.Subscribe.Allow, grant.Subscribe)
		if !several {
			p.Subscribe.Deny = appendMissing(p.Subscribe.Deny, grant.DenySubscribe)
		}
		if grant.Responses != nil {
			p.Responses = grant.Responses
		}
	}
	if len(p.Publish.Allow) == 0 {
		p.Publish.Deny = []string{">"} // an empty list allows everything
	}
	return p
}

func appendMissing(list, more []string) []string {
	for _, one := range more {
		if !slices.Contains(list, one) {
			list = append(list, one)
		}
	}
	return list
}

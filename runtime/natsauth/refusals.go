package natsauth

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// refusedSubject is where refused requests go. Nobody answers there.
const refusedSubject = "ROSEY.REFUSED"

// refusals returns the requests to JetStream that the server must refuse to everybody: those that remove what an
// administrator has made, and that need no content. With manual provisioning no user of ours may send them. But whoever
// may pull or acknowledge messages, which the service must, can name any reply subject, and the server sends a reply
// without content there with its own rights. Permissions do not help against that. A subject mapping in the system
// account, to which all requests to JetStream go, does.
func (s *State) refusals() (requests []string, err error) {
	for _, id := range slices.Sorted(maps.Keys(s.Accounts)) {
		account := s.Accounts[id]
		if !account.Manual || account.Removable {
			continue
		}
		o, err := account.options()
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", account.Name, err)
		}
		for _, stream := range []string{o.Subjects.StreamName(), o.Subjects.LockStream()} {
			requests = append(requests, api("STREAM.DELETE."+stream, "STREAM.PURGE."+stream,
				"STREAM.LEADER.STEPDOWN."+stream)...)
		}
		consumer := o.Subjects.StreamName() + "." + o.Subjects.ConsumerName()
		requests = append(requests, api("CONSUMER.DELETE."+consumer, "CONSUMER.RESET."+consumer,
			"CONSUMER.UNPIN."+consumer, "CONSUMER.LEADER.STEPDOWN."+consumer)...)
	}
	slices.Sort(requests)
	return slices.Compact(requests), nil
}

// systemFile returns the file with the refusals for a server's configuration.
func (s *State) systemFile() ([]byte, error) {
	requests, err := s.refusals()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("# Written by `rosey nats issue`. Include it in the system account. It refuses requests to remove\n" +
		"# the streams of RoseyBots with manual provisioning.\nmappings: {\n")
	for _, request := range requests {
		fmt.Fprintf(&out, "  %s: %s\n", quote(request), quote(refusedSubject))
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}

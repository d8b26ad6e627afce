package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
)

const (
	// maxAnswer bounds an answer of the API server, in bytes. One object always fits: those of etcd have up to 1.5 MiB,
	// and JSON may write a byte as six.
	maxAnswer = 16 << 20
	// maxListed bounds what is kept of a list, in bytes of JSON.
	maxListed = 2 * maxSupportFile
	// listPartSize is how many objects are read at once, if they are not too large together.
	listPartSize = 64
)

var errTooLarge = fmt.Errorf("an answer of more than %d bytes", maxAnswer)

// readAnswer returns what the API server answers.
func readAnswer(ctx context.Context, request *rest.Request) ([]byte, error) {
	stream, err := request.Stream(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what it was
	}
	defer func() { _ = stream.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(stream, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(text) > maxAnswer {
		return nil, errTooLarge
	}
	return text, nil
}

// listPart is a part of a list of the API server.
type listPart struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Continue string `json:"continue"`
	} `json:"metadata"`
	Items []json.RawMessage `json:"items"`
}

// lister reads a list of the API server in pages: everybody who may create events in a namespace may create very many,
// and very large ones.
type lister struct {
	collector *collector
	request   func() *rest.Request
	needed    right
	// isChosen reports whether an object is kept.
	isChosen func(kind string, object map[string]any) bool

	kind   map[string]any // what the list is of
	kept   []any
	bytes  int // of what is kept
	next   string
	atOnce int // how many objects the next page has at most
}

// file reads the list and adds what is chosen of it as a file, also if an error comes after its first pages.
func (l *lister) file(ctx context.Context, name string) error {
	err := l.read(ctx)
	if l.kind == nil {
		return err
	}
	l.kind["items"] = l.kept
	return errors.Join(err, l.collector.addObject(name, l.kind))
}

func (l *lister) read(ctx context.Context) error {
	for {
		read, err := l.part(ctx)
		if err != nil {
			return l.collector.cluster.explain(ctx, err, l.needed)
		}
		if err := l.keep(read); err != nil {
			return err
		}
		if l.next = read.Metadata.Continue; l.next == "" {
			return nil
		}
	}
}

// part returns the next page, which is as small as it has to be.
func (l *lister) part(ctx context.Context) (read listPart, err error) {
	for l.atOnce = min(max(1, 2*l.atOnce), listPartSize); ; l.atOnce /= 2 {
		request := l.request().Param("limit", strconv.Itoa(l.atOnce))
		if l.next != "" {
			request = request.Param("continue", l.next)
		}
		text, err := readAnswer(ctx, request)
		if errors.Is(err, errTooLarge) && l.atOnce > 1 {
			continue
		}
		if err != nil {
			return read, err
		}
		if err := json.Unmarshal(text, &read); err != nil {
			return read, fmt.Errorf("decoding: %w", err)
		}
		return read, nil
	}
}

// keep keeps what is chosen of a page as long as there is room.
func (l *lister) keep(read listPart) error {
	l.kind = map[string]any{"apiVersion": read.APIVersion, "kind": read.Kind}
	for _, item := range read.Items {
		var object map[string]any
		if err := json.Unmarshal(item, &object); err != nil {
			return fmt.Errorf("decoding: %w", err)
		}
		if !l.isChosen(strings.TrimSuffix(read.Kind, "List"), object) {
			continue
		}
		if l.bytes += len(item); l.bytes > maxListed {
			return fmt.Errorf("more than %d bytes, of which the first %d objects are here", maxListed, len(l.kept))
		}
		l.kept = append(l.kept, object)
	}
	return nil
}

// objects adds the objects that the operator has made, and Jobs of people.
func (c *collector) objects(ctx context.Context) error {
	var all []error
	for _, kind := range supportObjects {
		selector := labels.Set{labelRoseyBot: c.bot.Name}
		if kind.resource == "jobs" {
			selector = labels.Set{"app.kubernetes.io/name": "rosey", "app.kubernetes.io/instance": c.bot.Name}
		}
		list := lister{
			collector: c, needed: to("list", kind.group, kind.resource), isChosen: c.isMadeForBot, atOnce: listPartSize,
			request: func() *rest.Request {
				return c.path(kind.group, kind.version, "namespaces", c.cluster.namespace, kind.resource).
					Param("labelSelector", selector.String())
			},
		}
		if err := list.file(ctx, "objects/"+kind.resource+".yaml"); err != nil {
			all, c.unlisted = append(all, fmt.Errorf("%s: %w", kind.resource, err)), append(c.unlisted, kind.resource)
		}
	}
	return errors.Join(all...)
}

// isMadeForBot notes an object, and reports true.
func (c *collector) isMadeForBot(kind string, object map[string]any) bool {
	metadata, _ := object["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	c.own[kind+"/"+name] = true
	return true
}

// events adds the events of the RoseyBot and of its objects, and not those of a RoseyBot whose name begins alike.
func (c *collector) events(ctx context.Context) error {
	list := lister{
		collector: c, needed: to("list", "", "events"), isChosen: c.isEventOfBot, atOnce: listPartSize,
		request: func() *rest.Request { return c.path("", "v1", "namespaces", c.cluster.namespace, "events") },
	}
	if len(c.unlisted) > 0 {
		c.problem("events", fmt.Errorf("without those of objects that were not read: %s", strings.Join(c.unlisted, ", ")))
	}
	return list.file(ctx, "events.yaml")
}

// isEventOfBot reports whether an event is about the RoseyBot, one of its objects, or a pod of theirs that is gone.
func (c *collector) isEventOfBot(_ string, event map[string]any) bool {
	involved, _ := event["involvedObject"].(map[string]any)
	kind, _ := involved["kind"].(string)
	name, _ := involved["name"].(string)
	if c.own[kind+"/"+name] {
		return true
	}
	owner := name[:max(0, strings.LastIndex(name, "-"))]
	return kind == "Pod" && (c.own["ReplicaSet/"+owner] || c.own["Job/"+owner])
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
)

// recentUse is how long after its last use an object counts as in use.
const recentUse = time.Minute

// natsObject is what a bot has in JetStream, as it is in JSON.
type natsObject struct {
	Prefix string `json:"prefix"`
	Kind   string `json:"kind"` // stream, consumer or bucket
	Name   string `json:"name"`
	// Bytes is how large it is, Reserved how much the server keeps free for it. A consumer has neither.
	Bytes    uint64 `json:"bytes"`
	Reserved int64  `json:"reserved"`
	Messages uint64 `json:"messages"`
	// Waiting is how many events of a consumer's stream are not stored.
	Waiting uint64 `json:"waiting"`
	// LastUsed is in milliseconds since 1970 UTC. 0: it was never used.
	LastUsed int64 `json:"lastUsed"`
	// InUse says who uses it. Empty: nobody.
	InUse string `json:"inUse,omitempty"`
	// RoseyBot and Database are those that the events of a stream belong to, as far as that is known.
	RoseyBot string `json:"roseybot,omitempty"`
	Database string `json:"database,omitempty"`

	stream string // in which it is
}

func newNATSListCommand() *cobra.Command {
	var flags *configFlags
	var format output.Format
	var prefix string
	command := &cobra.Command{
		Use:   "list",
		Short: "List streams, consumers and buckets of bots: sizes, last use, and whose they are",
		Example: `  rosey nats list --nats nats://nats.example:4222
  rosey nats list --nats nats://nats.example:4222 --nats-credentials-dir ./admin --prefix rosey_default_movienight`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			account, err := openAccount(command, flags, prefix)
			if err != nil {
				return err
			}
			defer account.conn.Close()
			objects, err := account.list(command.Context(), prefix)
			if err != nil {
				return exit.Failed(err)
			}
			return writeOutput(command.OutOrStdout(), format, objects, objectsText(objects))
		},
	}
	flags = newConfigFlags(command.Flags(), "", keysAt("nats.url", "nats.credentialsDir", "nats.tlsDir"))
	command.Flags().StringVar(&prefix, "prefix", "",
		"List only what the bot with this subject prefix has, for which the permissions of its admin are enough")
	addOutputFlag(command, &format)
	return command
}

// natsAccount is what somebody sees of a NATS account.
type natsAccount struct {
	conn *bus.Conn
	js   jetstream.JetStream
	now  time.Time
}

// openAccount connects as whoever the flags name. With a prefix, replies come where the admin of that bot may listen.
func openAccount(command *cobra.Command, flags *configFlags, prefix string) (*natsAccount, error) {
	loaded, err := flags.Load(status.CLIComponent)
	if err != nil {
		return nil, err
	}
	inbox := ""
	if prefix != "" {
		subjects, err := bus.NewSubjects(prefix)
		if err != nil {
			return nil, fmt.Errorf("prefix: %w", err)
		}
		inbox = subjects.InboxPrefix(bus.AdminRole)
	}
	log := slog.New(slog.NewTextHandler(command.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
	conn, err := cli.Dial(command.Context(), loaded.NATS, "rosey cli", inbox, log)
	if err != nil {
		return nil, exit.Failed(err)
	}
	js, err := jetstream.New(conn.NATS())
	if err != nil {
		conn.Close()
		return nil, exit.Failed(fmt.Errorf("preparing for JetStream: %w", err))
	}
	return &natsAccount{conn: conn, js: js, now: time.Now()}, nil
}

// list returns what the bot with a prefix has, or what all bots have if the prefix is empty.
func (a *natsAccount) list(ctx context.Context, prefix string) ([]natsObject, error) {
	var streams []*jetstream.StreamInfo
	var err error
	if prefix != "" {
		streams, err = a.streamsOf(ctx, prefix)
	} else {
		err = a.request(ctx, "STREAM.LIST", "listing the streams", func(ctx context.Context) error {
			lister := a.js.ListStreams(ctx)
			for info := range lister.Info() {
				streams = append(streams, info)
			}
			return lister.Err()
		})
	}
	if err != nil {
		return nil, err
	}
	objects := []natsObject{}
	for _, info := range streams {
		found, err := a.objectsOf(ctx, info)
		if err != nil {
			return nil, err
		}
		objects = append(objects, found...)
	}
	slices.SortStableFunc(objects, func(x, y natsObject) int { return cmp.Compare(x.Prefix, y.Prefix) })
	return objects, nil
}

// streamsOf returns the streams that the bot with a prefix may have, as far as they exist.
func (a *natsAccount) streamsOf(ctx context.Context, prefix string) (streams []*jetstream.StreamInfo, err error) {
	subjects, err := bus.NewSubjects(prefix)
	if err != nil {
		return nil, fmt.Errorf("prefix: %w", err)
	}
	for _, name := range []string{subjects.StreamName(), subjects.LockStream()} {
		err := a.request(ctx, name, "reading the stream "+name, func(ctx context.Context) error {
			stream, err := a.js.Stream(ctx, name)
			if err == nil {
				streams = append(streams, stream.CachedInfo())
			}
			return err //nolint:wrapcheck // request says what was attempted
		})
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, err
		}
	}
	return streams, nil
}

// request sends a request to JetStream. The error names the subject if the server denies it.
func (a *natsAccount) request(
	ctx context.Context, subject, attempt string, send func(ctx context.Context) error,
) error {
	if err := a.conn.Do(ctx, createTimeout, subject, send); err != nil {
		return fmt.Errorf("%s: %w", attempt, withoutJetStream(err))
	}
	return nil
}

// withoutJetStream returns the error of a request to JetStream, and names the cause if there is none: it is a request
// to which nobody responds.
func withoutJetStream(err error) error {
	if bus.IsJetStreamMissing(err) {
		return fmt.Errorf("the NATS server, or the account of this user, has no JetStream: %w", err)
	}
	return err
}

// objectsOf returns what a stream is to a bot: its stream with the consumer in it, or its bucket. It returns nothing
// for a stream of somebody else.
func (a *natsAccount) objectsOf(ctx context.Context, info *jetstream.StreamInfo) ([]natsObject, error) {
	object := natsObject{
		Name: info.Config.Name, stream: info.Config.Name, Bytes: info.State.Bytes, Reserved: max(info.Config.MaxBytes, 0),
		Messages: info.State.Msgs,
	}
	if info.State.LastSeq > 0 {
		object.LastUsed = toMillis(info.State.LastTime)
	}
	if subjects, ok := bucketSubjects(info.Config); ok {
		object.Kind, object.Prefix, object.Name = "bucket", subjects.Prefix(), subjects.LockBucket()
		if info.State.Msgs > 0 { // keys expire within seconds
			object.InUse = "bots elect their leader"
		}
		return []natsObject{object}, nil
	}
	subjects, ok := eventsSubjects(info.Config)
	if !ok {
		return nil, nil
	}
	object.Kind, object.Prefix = "stream", subjects.Prefix()
	id, origin := database.StreamOwner(info.Config.Metadata)
	object.Database, object.RoseyBot = id, origin.RoseyBot
	if a.now.UnixMilli()-object.LastUsed < recentUse.Milliseconds() {
		object.InUse = "events were published within the last minute"
	}
	consumer, err := a.consumerOf(ctx, subjects)
	return append([]natsObject{object}, consumer...), err
}

// bucketSubjects returns the subjects of the bot whose bucket a stream is. ok is false if it is none: another program's
// bucket may have such a name, but its keys do not expire.
func bucketSubjects(stream jetstream.StreamConfig) (subjects bus.Subjects, ok bool) {
	subjects, ok = bus.SubjectsOfLockStream(stream.Name)
	return subjects, ok && stream.MaxAge > 0 &&
		slices.Equal(stream.Subjects, []string{"$KV." + subjects.LockBucket() + ".>"})
}

// eventsSubjects returns the subjects of the bot whose events a stream keeps. ok is false if it keeps none.
func eventsSubjects(stream jetstream.StreamConfig) (subjects bus.Subjects, ok bool) {
	subjects, ok = bus.SubjectsOfStream(stream.Name)
	return subjects, ok && slices.Contains(stream.Subjects, subjects.Subject(bus.MessageLog))
}

// consumerOf returns the consumer of a bot's stream, if there is one.
func (a *natsAccount) consumerOf(ctx context.Context, subjects bus.Subjects) ([]natsObject, error) {
	object := natsObject{Prefix: subjects.Prefix(), Kind: "consumer", Name: subjects.ConsumerName()}
	err := a.request(ctx, subjects.StreamName(), "reading the consumer "+object.Name, func(ctx context.Context) error {
		consumer, err := a.js.Consumer(ctx, subjects.StreamName(), object.Name)
		if err != nil {
			return err //nolint:wrapcheck // request says what was attempted
		}
		info := consumer.CachedInfo()
		object.Waiting = info.NumPending + uint64(max(info.NumAckPending, 0))
		for _, last := range []*time.Time{info.Delivered.Last, info.AckFloor.Last} {
			if last != nil {
				object.LastUsed = max(object.LastUsed, toMillis(*last))
			}
		}
		if info.NumWaiting > 0 {
			object.InUse = "a database service consumes events"
		}
		return nil
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, nil
	}
	return []natsObject{object}, err
}

func objectsText(objects []natsObject) string {
	if len(objects) == 0 {
		return "no streams, consumers or buckets of bots\n"
	}
	var text bytes.Buffer
	writeTable(&text, "Objects of bots in JetStream", "PREFIX\tKIND\tNAME\tSIZE\tRESERVED\tNOT STORED\t"+
		"LAST USED (UTC)\tIN USE\tROSEYBOT", objects, func(o natsObject) string {
		return strings.Join([]string{
			o.Prefix, o.Kind, o.Name, sizeText(o.Kind, float64(o.Bytes)), sizeText(o.Kind, float64(o.Reserved)),
			waitingText(o), formatMillis(o.LastUsed), cmp.Or(o.InUse, "no"),
			cmp.Or(status.OneLine(o.RoseyBot, 120), "-"),
		}, "\t")
	})
	return text.String()
}

func sizeText(kind string, bytes float64) string {
	if kind == "consumer" {
		return "-"
	}
	return fmt.Sprintf("%.1f MiB", bytes/(1<<20))
}

func waitingText(o natsObject) string {
	if o.Kind != "consumer" {
		return "-"
	}
	return fmt.Sprint(o.Waiting)
}

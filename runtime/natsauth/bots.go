package natsauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// Bot is a RoseyBot, as far as accounts and users depend on it.
type Bot struct {
	Namespace, Name string
	// SharedFrom is the name of the RoseyBot whose account it uses. Empty: its own.
	SharedFrom string
	// Prefix, JetStream, Manual, Replicas and MaxBytes are those of spec.nats, or their defaults.
	Prefix    string
	JetStream string
	Manual    bool
	Replicas  int64
	MaxBytes  int64
	// BotSecret and ServiceSecret are the names of the Secrets with the credentials of bot and service. Empty: the
	// RoseyBot names none.
	BotSecret, ServiceSecret string
	// Web is nil if it has no web page.
	Web *Web
	// Plugins are the users of its plugins.
	Plugins []PluginUser
}

// Web is what is read of spec.web.
type Web struct {
	// Secret is the name of the Secret with its credentials. Empty: that of the bot.
	Secret string
	// Tokens reports whether there is a Secret with tokens: without one nobody may do anything but read.
	Tokens bool
}

// ID returns NAMESPACE/NAME.
func (b Bot) ID() string { return b.Namespace + "/" + b.Name }

// owner returns the ID of the RoseyBot whose account it uses.
func (b Bot) owner() string { return b.Namespace + "/" + cmp.Or(b.SharedFrom, b.Name) }

// manifest is what is read of a RoseyBot, or of a list of them.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		pluginsManifest

		Mode    string `json:"mode"`
		Channel struct {
			Name string `json:"name"`
		} `json:"channel"`
		NATS *struct {
			SubjectPrefix        string    `json:"subjectPrefix"`
			CredentialsSecretRef *refField `json:"credentialsSecretRef"`
			JetStream            *struct {
				Mode         string          `json:"mode"`
				Replicas     *int64          `json:"replicas"`
				MaxBytes     json.RawMessage `json:"maxBytes"`
				Provisioning string          `json:"provisioning"`
			} `json:"jetStream"`
		} `json:"nats"`
		Database *struct {
			SharedFrom               *refField `json:"sharedFrom"`
			NATSCredentialsSecretRef *refField `json:"natsCredentialsSecretRef"`
		} `json:"database"`
		Web *struct {
			Enabled                  bool      `json:"enabled"`
			TokensSecretRef          *refField `json:"tokensSecretRef"`
			NATSCredentialsSecretRef *refField `json:"natsCredentialsSecretRef"`
		} `json:"web"`
	} `json:"spec"`
	Items []json.RawMessage `json:"items"`
}

type refField struct {
	Name string `json:"name"`
}

func (r *refField) name() string {
	if r == nil {
		return ""
	}
	return r.Name
}

var separator = regexp.MustCompile(`(?m)^---(?:[ \t].*)?\r?$`)

// ParseBots reads RoseyBots from a file in YAML with one or several documents, each a RoseyBot or a list of them, such
// as `kubectl get roseybots -A -o yaml` prints. RoseyBots in mode Direct, which use no NATS, are left out. Those that
// have no namespace are in the given one. Errors name the file, the document and the field.
func ParseBots(file string, data []byte, namespace string) ([]Bot, error) {
	var bots []Bot
	for i, document := range separator.Split(string(data), -1) {
		where := fmt.Sprintf("%s: document %d", file, i+1)
		content, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if bytes.Equal(content, []byte("null")) {
			continue // between two separators, or only comments
		}
		read, err := parseObject(content, namespace)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		bots = append(bots, read...)
	}
	if err := checkBots(bots); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return bots, nil
}

func parseObject(content []byte, namespace string) (bots []Bot, err error) {
	var m manifest
	if err := json.Unmarshal(content, &m); err != nil {
		return nil, fmt.Errorf("expected a RoseyBot: %w", err)
	}
	switch m.Kind {
	case "RoseyBot":
	case "List", "RoseyBotList":
		for i, item := range m.Items {
			read, err := parseObject(item, namespace)
			if err != nil {
				return nil, fmt.Errorf("items[%d]: %w", i, err)
			}
			bots = append(bots, read...)
		}
		return bots, nil
	default:
		return nil, fmt.Errorf("kind: %q, expected RoseyBot or List", m.Kind)
	}
	if group, _, _ := strings.Cut(m.APIVersion, "/"); group != "rosey.dev" {
		return nil, fmt.Errorf("apiVersion: %q, expected rosey.dev/v1alpha1", m.APIVersion)
	}
	if strings.EqualFold(m.Spec.Mode, "Direct") {
		return nil, nil
	}
	bot, err := m.bot(namespace)
	if err != nil {
		return nil, fmt.Errorf("RoseyBot %s: %w", m.Metadata.Name, err)
	}
	return []Bot{bot}, nil
}

// The names of a RoseyBot or a namespace, and of a Secret. Their lengths are compared apart: in a pattern they would
// take every process 200 KiB of memory.
var (
	objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	secretName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
)

func isObjectName(name string) bool { return len(name) <= 63 && objectName.MatchString(name) }

func isSecretName(name string) bool { return len(name) <= 253 && secretName.MatchString(name) }

func (m manifest) bot(namespace string) (Bot, error) {
	b := Bot{
		Namespace: cmp.Or(m.Metadata.Namespace, namespace), Name: m.Metadata.Name,
		JetStream: config.JetStreamAuto, Replicas: 1, MaxBytes: defaultMaxBytes(),
	}
	for field, name := range map[string]string{"metadata.namespace": b.Namespace, "metadata.name": b.Name} {
		if !isObjectName(name) {
			return b, fmt.Errorf("%s: %q, expected lower case letters, digits and '-'", field, name)
		}
	}
	if m.Spec.Database != nil {
		b.SharedFrom = m.Spec.Database.SharedFrom.name()
		b.ServiceSecret = m.Spec.Database.NATSCredentialsSecretRef.name()
	}
	webSecret := ""
	if web := m.Spec.Web; web != nil && web.Enabled {
		webSecret = web.NATSCredentialsSecretRef.name()
		b.Web = &Web{Secret: webSecret, Tokens: web.TokensSecretRef.name() != ""}
	}
	// The default prefix is the operator's.
	b.Prefix = "rosey_" + b.Namespace + "_" + b.Name
	if err := m.readNATS(&b); err != nil {
		return b, err
	}
	if _, err := bus.NewSubjects(b.Prefix); err != nil {
		return b, fmt.Errorf("spec.nats.subjectPrefix: %w", err)
	}
	for field, name := range map[string]string{
		"spec.nats.credentialsSecretRef.name":         b.BotSecret,
		"spec.database.natsCredentialsSecretRef.name": b.ServiceSecret,
		"spec.web.natsCredentialsSecretRef.name":      webSecret,
	} {
		if name != "" && !isSecretName(name) {
			return b, fmt.Errorf("%s: %q, expected the name of a Secret", field, name)
		}
	}
	return b, m.readPlugins(&b)
}

// readNATS reads spec.nats.
func (m manifest) readNATS(b *Bot) (err error) {
	nats := m.Spec.NATS
	if nats == nil {
		return nil
	}
	b.Prefix = cmp.Or(nats.SubjectPrefix, b.Prefix)
	b.BotSecret = nats.CredentialsSecretRef.name()
	stream := nats.JetStream
	if stream == nil {
		return nil
	}
	modes := []string{config.JetStreamAuto, config.JetStreamAlways, config.JetStreamNever}
	b.JetStream = strings.ToLower(cmp.Or(stream.Mode, config.JetStreamAuto))
	if !slices.Contains(modes, b.JetStream) {
		return fmt.Errorf("spec.nats.jetStream.mode: %q, expected Auto, Always or Never", stream.Mode)
	}
	if !slices.Contains([]string{"", "Automatic", "Manual"}, stream.Provisioning) {
		return fmt.Errorf("spec.nats.jetStream.provisioning: %q, expected Automatic or Manual", stream.Provisioning)
	}
	b.Manual = stream.Provisioning == "Manual"
	if stream.Replicas != nil {
		if b.Replicas = *stream.Replicas; b.Replicas < 1 || b.Replicas > 5 {
			return fmt.Errorf("spec.nats.jetStream.replicas: %d, expected 1 to 5", b.Replicas)
		}
	}
	if len(stream.MaxBytes) > 0 {
		if b.MaxBytes, err = parseBytes(strings.Trim(string(stream.MaxBytes), `"`)); err != nil {
			return fmt.Errorf("spec.nats.jetStream.maxBytes: %w", err)
		}
	}
	return nil
}

// defaultMaxBytes returns the default of nats.jetStream.maxBytes.
func defaultMaxBytes() int64 {
	for _, key := range config.Keys() {
		if key.Path == "nats.jetStream.maxBytes" {
			size, _ := strconv.ParseInt(key.Default, 10, 64) // a test reads it
			return size
		}
	}
	return 0
}

var byteUnits = []struct {
	suffix string
	factor int64
}{
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40},
	{"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"", 1},
}

// parseBytes reads a size as Kubernetes writes it.
func parseBytes(text string) (int64, error) {
	for _, unit := range byteUnits {
		number, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		count, err := strconv.ParseInt(number, 10, 64)
		if err != nil || count < 1 || count > (1<<40)/unit.factor {
			break
		}
		return count * unit.factor, nil
	}
	return 0, fmt.Errorf("%q, expected a size from 1Mi to 1Ti, for example 64Mi", text)
}

// checkBots checks what concerns several RoseyBots.
func checkBots(bots []Bot) error {
	seen := map[string]Bot{}
	for _, bot := range bots {
		if _, twice := seen[bot.ID()]; twice {
			return fmt.Errorf("RoseyBot %s: it is there twice", bot.ID())
		}
		seen[bot.ID()] = bot
	}
	for _, bot := range bots {
		if bot.SharedFrom == "" {
			continue
		}
		owner, ok := seen[bot.owner()]
		switch {
		case !ok:
			return fmt.Errorf("RoseyBot %s: spec.database.sharedFrom.name: %q, expected a RoseyBot of the file in mode NATS "+
				"and namespace %s", bot.ID(), bot.SharedFrom, bot.Namespace)
		case owner.SharedFrom != "":
			return fmt.Errorf("RoseyBot %s: spec.database.sharedFrom.name: %q sets sharedFrom itself, "+
				"expected a RoseyBot with a database service of its own", bot.ID(), bot.SharedFrom)
		}
	}
	return checkChannels(bots)
}

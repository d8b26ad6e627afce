package manifests

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// configFile is the key of each component's configuration in the ConfigMap, and its file name in the pod.
var configFile = map[Component]string{
	Bot: config.BotFile, Database: config.DatabaseFile, Web: config.WebFile, Plugins: config.PluginHostFile,
}

// IsConfigFile reports whether a ConfigMap of a RoseyBot can have a file of a name. Those of a component with settings
// of its own can have any.
func IsConfigFile(component Component, name string) bool {
	return PluginName(component) != "" || slices.Contains([]string{
		config.BotFile, config.DatabaseFile, config.WebFile, config.StandbyFile, config.ChannelsFile, config.ProvenanceFile,
		config.PluginHostFile, config.CommandsFile, config.PluginsFile,
	}, name)
}

// configFiles returns the content of the ConfigMap by file name. Each component has a file of its own, so that a change
// of a setting restarts only the component that reads it. Whether the bot has standbys is in a file that the bot reads
// while it runs: the bot in the channel need not restart when one is added.
func configFiles(bot, owner *v1alpha1.RoseyBot) (map[string]string, error) {
	files := map[string]string{}
	for _, component := range Components(bot) {
		if configFile[component] == "" {
			continue
		}
		text, err := yaml.Marshal(componentConfig(bot, owner, component))
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", configFile[component], err)
		}
		files[configFile[component]] = string(text)
	}
	// Always: a pod does not start if a file that its template mounts is missing.
	files[config.StandbyFile] = strconv.FormatBool(HasStandbys(bot))
	return files, nil
}

func componentConfig(bot, owner *v1alpha1.RoseyBot, component Component) config.Config {
	content := config.Config{
		Channel:   config.Channel{Server: bot.Spec.Channel.Server, Name: bot.Spec.Channel.Name},
		Mode:      strings.ToLower(string(bot.Spec.Mode)),
		NATS:      natsConfig(bot, owner, component),
		Database:  databaseConfig(bot, component),
		Telemetry: telemetryConfig(bot, component),
		LogLevel:  bot.Spec.LogLevel,
	}
	switch component {
	case Database:
		content.Name = bot.Namespace + "/" + bot.Name
		content.Database.ChannelsFile = path.Join(config.ChannelsDir, config.ChannelsFile)
		content.Database.ProvenanceFile = path.Join(config.ChannelsDir, config.ProvenanceFile)
	case Web:
		content.Web = webConfig(bot)
	case Plugins:
		addLiveFiles(&content, bot, component)
	default:
		addLiveFiles(&content, bot, component)
		addBotConfig(&content, bot, owner)
	}
	return content
}

// webConfig returns who may read the web page. Where it listens is its default.
func webConfig(bot *v1alpha1.RoseyBot) config.Web {
	spec := webOf(bot)
	people := map[v1alpha1.PeoplePages]string{
		v1alpha1.PeoplePublic: config.PeoplePublic, v1alpha1.PeopleTokensOnly: config.PeopleTokensOnly,
		v1alpha1.PeopleOff: config.PeopleOff,
	}
	content := config.Web{Public: ptr.Deref(spec.Public, false), People: people[spec.People], BasePath: spec.BasePath}
	if spec.TokensSecretRef != nil {
		content.TokensDir = config.WebTokensDir
	}
	return content
}

// addBotConfig adds what only the bot has.
func addBotConfig(content *config.Config, bot, owner *v1alpha1.RoseyBot) {
	if mayHaveStandbys(bot, owner) {
		content.StandbyFile = path.Join(config.ConfigDir, config.StandbyFile)
	}
	if bot.Spec.Channel.PasswordSecretRef != nil {
		content.Channel.PasswordFile = path.Join(config.ChannelSecretDir, config.SecretFile)
	}
	content.Channel.MaxMessageLength = int(bot.Spec.Channel.MaxMessageLength)
	if account := bot.Spec.Account; account != nil {
		content.Account = &config.Account{Username: account.Username}
		if account.PasswordSecretRef != nil {
			content.Account.PasswordFile = path.Join(config.AccountSecretDir, config.SecretFile)
		}
	}
}

func natsConfig(bot, owner *v1alpha1.RoseyBot, component Component) config.NATS {
	if bot.Spec.Mode == v1alpha1.ModeDirect {
		return config.NATS{}
	}
	source, nats := natsSource(bot, owner), NATS(bot, owner)
	// The default prefix is unique, because namespaces and names do not contain '_'.
	prefix := cmp.Or(nats.SubjectPrefix, "rosey_"+source.Namespace+"_"+source.Name)
	content := config.NATS{URL: nats.URL, SubjectPrefix: prefix}
	if NATSCredentials(bot, owner, component) != nil {
		content.CredentialsDir = config.NATSCredentialsDir
	}
	if nats.TLSSecretRef != nil {
		content.TLSDir = config.NATSTLSDir
	}
	if stream := nats.JetStream; stream != nil && !isOptional(component) { // others publish nothing to it
		content.JetStream = config.JetStream{
			Mode:     strings.ToLower(string(stream.Mode)),
			Replicas: int(ptr.Deref(stream.Replicas, 0)),
			MaxAge:   config.Duration(stream.MaxAge),

			MaxBytes:        bytesOf(stream.MaxBytes),
			MaxMessageBytes: bytesOf(stream.MaxMessageBytes),
			Provisioning:    strings.ToLower(string(stream.Provisioning)),
		}
	}
	return content
}

// bytesOf returns a size in bytes, and 0 if none is specified.
func bytesOf(size *resource.Quantity) int {
	if size == nil {
		return 0
	}
	return int(size.Value())
}

// databaseConfig names a database only for a component that opens one.
func databaseConfig(bot *v1alpha1.RoseyBot, component Component) config.Database {
	content := config.Database{DirectFallback: fallsBack(bot, component)}
	switch {
	case MountsClaim(bot, component):
		content.SQLite = &config.SQLite{Path: path.Join(config.DataDir, config.SQLiteFile)}
	case opensDatabase(bot, component) || content.DirectFallback:
		content.Postgres = &config.Postgres{URLFile: path.Join(config.PostgresSecretDir, config.PostgresURLFile)}
	default:
		return content
	}
	overlay(databaseOf(bot).Retention, &content.Retention)
	overlay(databaseOf(bot).Limits, &content.Limits)
	if backup := databaseOf(bot).Backup; backup != nil && content.SQLite != nil {
		content.Backup = config.Backup{
			Directory: path.Join(config.DataDir, "backups"), Every: config.Duration(backup.Every),
			Keep: int(ptr.Deref(backup.Keep, 0)),
		}
		if backupsMount(bot) != "" {
			// Several RoseyBots may share the claim, and if one of them has restored a backup of another, their databases
			// have the same ID.
			content.Backup.Directory = path.Join(config.BackupsDir, bot.Name)
		}
	}
	return content
}

func telemetryConfig(bot *v1alpha1.RoseyBot, component Component) config.Telemetry {
	spec := bot.Spec.Telemetry
	if spec == nil {
		return config.Telemetry{}
	}
	content := config.Telemetry{
		Endpoint: spec.Endpoint, Protocol: string(spec.Protocol), SamplingRatio: spec.SamplingRatio,
	}
	if spec.HeadersSecretRef != nil {
		content.HeadersFile = path.Join(config.TelemetrySecretDir, config.TelemetryHeadersFile)
	}
	if spec.TLSSecretRef != nil {
		content.TLSDir = config.TelemetryTLSDir
	}
	attributes := map[string]v1alpha1.AttributeValue{}
	maps.Copy(attributes, spec.ResourceAttributes)
	for key, value := range map[string]string{
		"k8s.namespace.name": bot.Namespace, "k8s.deployment.name": Name(bot, component),
		"k8s.container.name": string(component), "rosey.roseybot.name": bot.Name,
	} {
		attributes[key] = v1alpha1.AttributeValue(value)
	}
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		pairs = append(pairs, key+"="+url.PathEscape(string(attributes[key])))
	}
	content.ResourceAttributes = strings.Join(pairs, ",")
	return content
}

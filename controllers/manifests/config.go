package manifests

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// configFiles returns the content of each configuration file. A component has a file of its own, so that a setting
// of one does not restart the other.
func configFiles(bot *v1alpha1.RoseyBot, params Params) (map[string]string, error) {
	contents := map[string]config.Config{config.BotFile: botConfig(bot, params)}
	if HasService(bot) {
		contents[config.DatabaseFile] = sharedConfig(bot, params, Database)
	}
	files := map[string]string{}
	for name, content := range contents {
		text, err := yaml.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", name, err)
		}
		files[name] = string(text)
	}
	return files, nil
}

func botConfig(bot *v1alpha1.RoseyBot, params Params) config.Config {
	content := sharedConfig(bot, params, Bot)
	content.Standby = Standby(bot)
	if bot.Spec.Channel.PasswordSecretRef != nil {
		content.Channel.PasswordFile = path.Join(config.ChannelSecretDir, config.SecretFile)
	}
	if account := bot.Spec.Account; account != nil {
		content.Account = &config.Account{Username: account.Username}
		if account.PasswordSecretRef != nil {
			content.Account.PasswordFile = path.Join(config.AccountSecretDir, config.SecretFile)
		}
	}
	return content
}

func sharedConfig(bot *v1alpha1.RoseyBot, params Params, component Component) config.Config {
	return config.Config{
		Channel:  config.Channel{Server: bot.Spec.Channel.Server, Name: bot.Spec.Channel.Name},
		Mode:     strings.ToLower(string(bot.Spec.Mode)),
		NATS:     natsConfig(bot, params),
		Database: storeConfig(bot, component),
		LogLevel: bot.Spec.LogLevel,
	}
}

func natsConfig(bot *v1alpha1.RoseyBot, params Params) config.NATS {
	if bot.Spec.Mode == v1alpha1.ModeDirect {
		return config.NATS{}
	}
	bus, given := busOf(bot, params.Owner), NATS(bot, params.Owner)
	// The default prefix is unique: neither namespaces nor names contain '_'.
	prefix := cmp.Or(given.SubjectPrefix, "rosey_"+bus.Namespace+"_"+bus.Name)
	content := config.NATS{URL: given.URL, SubjectPrefix: prefix}
	if given.CredentialsSecretRef != nil {
		content.CredentialsDir = config.NATSCredentialsDir
	}
	if given.TLSSecretRef != nil {
		content.TLSDir = config.NATSTLSDir
	}
	if stream := given.JetStream; stream != nil {
		content.JetStream = config.JetStream{
			Mode:     strings.ToLower(string(stream.Mode)),
			Replicas: int(ptr.Deref(stream.Replicas, 0)),
			MaxAge:   config.Duration(stream.MaxAge),
		}
		if stream.MaxBytes != nil {
			content.JetStream.MaxBytes = int(stream.MaxBytes.Value())
		}
	}
	return content
}

// storeConfig names a store only for a component that opens one.
func storeConfig(bot *v1alpha1.RoseyBot, component Component) config.Database {
	content := config.Database{DirectFallback: fallsBack(bot, component)}
	switch {
	case HoldsClaim(bot, component):
		content.SQLite = &config.SQLite{Path: path.Join(config.DataDir, config.SQLiteFile)}
	case opensStore(bot, component) || content.DirectFallback:
		content.Postgres = &config.Postgres{URLFile: path.Join(config.PostgresSecretDir, config.PostgresURLFile)}
	default:
		return content
	}
	overlay(databaseOf(bot).Retention, &content.Retention)
	return content
}

// Hash is short and differs where the JSON of a value does.
func Hash(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("hashing %T: %v", value, err)) // objects of Kubernetes have JSON
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

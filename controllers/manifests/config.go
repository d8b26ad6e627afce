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

// configFiles returns the content of the ConfigMap by file name. Each component has a file of its own, so that a change
// of a setting restarts only the component that reads it.
func configFiles(bot, owner *v1alpha1.RoseyBot) (map[string]string, error) {
	contents := map[string]config.Config{config.BotFile: botConfig(bot, owner)}
	if HasService(bot) {
		contents[config.DatabaseFile] = commonConfig(bot, owner, Database)
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

func botConfig(bot, owner *v1alpha1.RoseyBot) config.Config {
	content := commonConfig(bot, owner, Bot)
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

// commonConfig returns the settings that both components read.
func commonConfig(bot, owner *v1alpha1.RoseyBot, component Component) config.Config {
	return config.Config{
		Channel:  config.Channel{Server: bot.Spec.Channel.Server, Name: bot.Spec.Channel.Name},
		Mode:     strings.ToLower(string(bot.Spec.Mode)),
		NATS:     natsConfig(bot, owner),
		Database: databaseConfig(bot, component),
		LogLevel: bot.Spec.LogLevel,
	}
}

func natsConfig(bot, owner *v1alpha1.RoseyBot) config.NATS {
	if bot.Spec.Mode == v1alpha1.ModeDirect {
		return config.NATS{}
	}
	source, nats := natsSource(bot, owner), NATS(bot, owner)
	// The default prefix is unique, because namespaces and names do not contain '_'.
	prefix := cmp.Or(nats.SubjectPrefix, "rosey_"+source.Namespace+"_"+source.Name)
	content := config.NATS{URL: nats.URL, SubjectPrefix: prefix}
	if nats.CredentialsSecretRef != nil {
		content.CredentialsDir = config.NATSCredentialsDir
	}
	if nats.TLSSecretRef != nil {
		content.TLSDir = config.NATSTLSDir
	}
	if stream := nats.JetStream; stream != nil {
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

// databaseConfig names a database only for a component that opens one.
func databaseConfig(bot *v1alpha1.RoseyBot, component Component) config.Database {
	content := config.Database{DirectFallback: fallsBack(bot, component)}
	switch {
	case HoldsClaim(bot, component):
		content.SQLite = &config.SQLite{Path: path.Join(config.DataDir, config.SQLiteFile)}
	case opensDatabase(bot, component) || content.DirectFallback:
		content.Postgres = &config.Postgres{URLFile: path.Join(config.PostgresSecretDir, config.PostgresURLFile)}
	default:
		return content
	}
	overlay(databaseOf(bot).Retention, &content.Retention)
	return content
}

// Hash returns a short hash of a value's JSON.
func Hash(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("hashing %T: %v", value, err)) // every Kubernetes object can be encoded
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

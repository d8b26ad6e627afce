package manifests

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
)

// configFiles returns the content of each configuration file. A component has a file of its own, so that a setting
// of one does not restart the other.
func configFiles(bot *v1alpha1.RoseyBot) (map[string]string, error) {
	files := map[string]string{}
	for name, content := range map[string]config.Config{
		config.BotFile:      botConfig(bot),
		config.DatabaseFile: databaseConfig(bot),
	} {
		text, err := yaml.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", name, err)
		}
		files[name] = string(text)
	}
	return files, nil
}

func botConfig(bot *v1alpha1.RoseyBot) config.Config {
	content := sharedConfig(bot)
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

func databaseConfig(bot *v1alpha1.RoseyBot) config.Config {
	content := sharedConfig(bot)
	content.Database.SQLite = &config.SQLite{Path: path.Join(config.DataDir, config.SQLiteFile)}
	return content
}

func sharedConfig(bot *v1alpha1.RoseyBot) config.Config {
	return config.Config{
		Channel:  config.Channel{Server: bot.Spec.Channel.Server, Name: bot.Spec.Channel.Name},
		NATS:     config.NATS{URL: bot.Spec.NATS.URL, SubjectPrefix: subjectPrefix(bot)},
		LogLevel: bot.Spec.LogLevel,
	}
}

// subjectPrefix is unique by default: neither namespaces nor names contain '_'.
func subjectPrefix(bot *v1alpha1.RoseyBot) string {
	return cmp.Or(bot.Spec.NATS.SubjectPrefix, "rosey_"+bot.Namespace+"_"+bot.Name)
}

// databaseOf is the zero Database where a RoseyBot has none.
func databaseOf(bot *v1alpha1.RoseyBot) v1alpha1.Database {
	return ptr.Deref(bot.Spec.Database, v1alpha1.Database{})
}

// Hash is short and differs where the content does.
func Hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

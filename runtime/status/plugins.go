package status

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// PluginReport is what a bot, or the host of the built-in plugins, reports of one plugin.
type PluginReport struct {
	// Name is 1 to 30 lower-case letters and digits.
	Name string `json:"name"`
	// OK is true if the bot can call the plugin, or if the host runs it.
	OK bool `json:"ok"`
	// Reason says why OK is false, or what else somebody has to know, and is ReasonReady otherwise. Message is for people.
	Reason  Reason `json:"reason"`
	Message string `json:"message,omitempty"`
	// Commands are the names under which users call the commands of the plugin, without the prefix: the first
	// MaxReportedCommands of them. Only a bot reports them.
	Commands []string `json:"commands,omitempty"`
}

const (
	// MaxReportedPlugins is how many plugins a Report may have.
	MaxReportedPlugins = 20
	// MaxReportedCommands is how many commands of each.
	MaxReportedCommands = 20
	// maxCommandName is for PLUGIN.COMMAND, in bytes.
	maxCommandName = 128
	// maxLiveFiles is how many files a process reads while it runs.
	maxLiveFiles = 8
)

var (
	// validFileName is what the names of files in LiveFiles are, and validHash what their hashes are.
	validFileName = word{validPodName.pattern, 63}
	validHash     = word{regexp.MustCompile(`^[0-9a-f]+$`), 64}
	// validPluginName is what bus.IsPluginName says.
	validPluginName = word{regexp.MustCompile(`^[a-z0-9]+$`), 30}
)

// ContentHash returns the hash of a file that a process reads while it runs, for Report.LiveFiles: 16 hexadecimal
// digits.
func ContentHash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

// checkPlugins returns an error if a report has more about plugins than a process of the runtime has, and makes its
// messages printable.
func checkPlugins(report *Report) error {
	if len(report.LiveFiles) > maxLiveFiles {
		return fmt.Errorf("a status report with more than %d files", maxLiveFiles)
	}
	for name, hash := range report.LiveFiles {
		if !validFileName.matches(name) || !validHash.matches(hash) {
			return errors.New("a status report with a file whose name or hash is not a single word")
		}
	}
	if len(report.Plugins) > MaxReportedPlugins {
		return fmt.Errorf("a status report with more than %d plugins", MaxReportedPlugins)
	}
	for i := range report.Plugins {
		if err := checkPlugin(&report.Plugins[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkPlugin(plugin *PluginReport) error {
	switch {
	case !validPluginName.matches(plugin.Name):
		return errors.New("a status report with a plugin whose name is not 1 to 30 lower-case letters and digits")
	case !validReason.matches(string(plugin.Reason)):
		return errors.New("a status report with a reason that is not a single CamelCase word")
	case len(plugin.Commands) > MaxReportedCommands:
		return fmt.Errorf("a status report with more than %d commands of a plugin", MaxReportedCommands)
	case !slices.ContainsFunc(plugin.Commands, func(name string) bool { return !isCommandName(name) }):
		plugin.Message = OneLine(plugin.Message, maxMessage)
		return nil
	}
	return errors.New("a status report with a command whose name is not a short printable word")
}

func isCommandName(name string) bool {
	return name != "" && len(name) <= maxCommandName && Printable(name) == name && !strings.Contains(name, " ")
}

// Package llm is a plugin that answers when it is spoken to, through any endpoint that speaks OpenAI's API for chat
// completions: Ollama, vLLM, or a hosted one.
//
// What people write goes to the model, and what the model writes is said. It can do nothing else: the plugin offers the
// model no tools, has no grant but to read lines and to speak, and says no line that looks like a command. How often it
// asks, and for how many tokens, is bounded, and stored, so that a restart does not begin anew.
package llm

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// Version is that of the plugin.
const Version = "1.0.0"

// Names of settings.
const (
	endpoint     = "endpoint"
	model        = "model"
	keyVariable  = "keyVariable"
	allowPrivate = "allowPrivate"
	system       = "system"
	temperature  = "temperature"
	maxTokens    = "maxTokens"
	tokensField  = "tokensField"
	timeout      = "timeout"
	contextLines = "contextLines"
	maxLines     = "maxLines"
	mentions     = "mentions"
	ignore       = "ignore"
	perMinute    = "perMinute"
	perDay       = "perDay"
	tokensPerDay = "tokensPerDay"
	personShare  = "personShare"
	guestShare   = "guestShare"
)

// What is counted: tokens of questions and answers, as the endpoint says it, or else as they are estimated; and what
// was not answered because a budget was used up.
const (
	usedTokens  = "tokens"
	overBudgets = "over_budget"
)

// askName is the command as which lines are taken that name the bot.
const askName = "ai"

// VariablePrefix begins the names of the environment variables that can be the key: nobody who writes settings can send
// another one.
const VariablePrefix = "PLUGIN_LLM_"

const (
	// maxTimeout is the longest time for an answer, and replyTime what is left of a call's time for the reply.
	maxTimeout = 55 * time.Second
	replyTime  = time.Second
	// maxContextLines bounds the lines of the chat that the model gets.
	maxContextLines = 50
	// maxSystem bounds what the owner tells the model, in bytes.
	maxSystem = 4096
)

// New returns the plugin.
func New() *plugin.Plugin { return newPlugin(os.Getenv) }

// newPlugin returns the plugin with an environment.
func newPlugin(getenv func(string) string) *plugin.Plugin {
	p := plugin.New("llm", Version)
	declareEndpoint(p)
	declareAnswers(p)
	declareBudgets(p)
	p.Counter(usedTokens)
	p.Counter(overBudgets)
	s := &speaker{getenv: getenv}
	p.Command(plugin.Command{
		Name: askName, Aliases: []string{"ask", "talk"}, Usage: "question", Help: "Answers a question.", Lines: true,
		Cooldown: plugin.Cooldown{User: 15 * time.Second}, Timeout: maxTimeout + replyTime,
		Examples: []plugin.Example{
			{Say: "!ai", Wrong: `expected a question`}, {Say: "!ask What is the film about?", Like: `.`},
			{Say: "!talk", Wrong: `expected a question`},
		},
	}, s.answerCall)
	p.On(plugin.Message, s.hear)
	return p
}

func declareEndpoint(p *plugin.Plugin) {
	p.Setting(plugin.Setting{
		Name: endpoint, Check: checkEndpoint, Hidden: true,
		Help: "The URL of the API, up to and without /chat/completions, such as http://localhost:11434/v1.",
	})
	p.Setting(plugin.Setting{Name: model, Help: "The name of the model there.", Check: checkModel})
	p.Setting(plugin.Setting{
		Name: keyVariable, Default: VariablePrefix + "KEY", Hidden: true,
		Help: "The environment variable with the key of the API.",
		Check: func(value string) error {
			if !plugin.IsVariable(value, VariablePrefix) {
				return errors.New("expected a name that begins with " + VariablePrefix + ", in upper case")
			}
			return nil
		},
	})
	p.Setting(plugin.Setting{
		Name: allowPrivate, Default: "false", Check: plugin.Switch,
		Help: "Whether the API may be in a private network, on this machine, without encryption, and behind a proxy.",
	})
	p.Setting(plugin.Setting{
		Name: timeout, Default: "30s", Check: plugin.Length(100*time.Millisecond, maxTimeout),
		Help: "How long an answer may take.",
	})
}

func declareAnswers(p *plugin.Plugin) {
	p.Setting(plugin.Setting{
		Name: system, Check: checkSystem, Help: "What the model is told about itself. It may tell others.",
	})
	p.Setting(plugin.Setting{
		Name: temperature, Check: checkTemperature,
		Help: "How freely the model chooses its words, from 0 to 2. Empty: as the API has it.",
	})
	p.Setting(plugin.Setting{
		Name: tokensField, Default: "max_tokens", Check: plugin.OneOf("max_tokens", "max_completion_tokens"),
		Help: "The field of the request with maxTokens. Newer models of OpenAI take max_completion_tokens alone.",
	})
	p.Setting(plugin.Setting{
		Name: contextLines, Default: "10", Check: plugin.Whole(0, maxContextLines),
		Help: "How many of the last lines of the chat the model gets.",
	})
	p.Setting(plugin.Setting{
		Name: maxLines, Default: "3", Check: plugin.Whole(1, plugin.MaxLines), Help: "The most lines of an answer.",
	})
	p.Setting(plugin.Setting{
		Name: mentions, Default: "true", Check: plugin.Switch, Help: "Whether it answers lines that name the bot.",
	})
	p.Setting(plugin.Setting{
		Name: ignore, Help: "Who is not answered when they name the bot, such as other bots, separated by commas.",
	})
}

func declareBudgets(p *plugin.Plugin) {
	p.Setting(plugin.Setting{
		Name: perMinute, Default: "6", Check: plugin.Whole(1, 1000), Help: "The most answers in a minute.",
	})
	p.Setting(plugin.Setting{
		Name: perDay, Default: "200", Check: plugin.Whole(1, 1_000_000), Help: "The most answers in a day, in UTC.",
	})
	p.Setting(plugin.Setting{
		Name: tokensPerDay, Default: "100000", Check: plugin.Whole(1, 1_000_000_000),
		Help: "The most tokens in a day, in UTC: of questions, context and answers together.",
	})
	p.Setting(plugin.Setting{
		Name: personShare, Default: "25", Check: plugin.Whole(1, 100),
		Help: "The share of perDay and of tokensPerDay that one registered person may use, in percent.",
	})
	p.Setting(plugin.Setting{
		Name: guestShare, Default: "50", Check: plugin.Whole(1, 100),
		Help: "The share that all guests together may use, in percent: as a guest everybody has any name.",
	})
	p.Setting(plugin.Setting{
		Name: maxTokens, Default: "300", Check: plugin.Whole(1, 16_384), Help: "The most tokens of an answer.",
	})
}

func checkEndpoint(value string) error {
	address, err := url.Parse(value)
	if err != nil || address.Host == "" || address.User != nil || address.RawQuery != "" || address.Fragment != "" ||
		address.Scheme != "https" && address.Scheme != "http" {
		return errors.New("expected a URL with https or http, without user, query and fragment")
	}
	return nil
}

func checkModel(value string) error {
	if value == "" || len(value) > 200 || strings.Join(plugin.Spoken(value, 1), "") != value {
		return errors.New("expected the name of a model, such as llama3.1:8b")
	}
	return nil
}

func checkTemperature(value string) error {
	if number, err := strconv.ParseFloat(value, 64); value != "" && (err != nil || !(number >= 0 && number <= 2)) {
		return errors.New("expected a number from 0 to 2")
	}
	return nil
}

func checkSystem(value string) error {
	if len(value) > maxSystem {
		return fmt.Errorf("%d bytes, expected at most %d", len(value), maxSystem)
	}
	return nil
}

// answerCall answers a command.
func (s *speaker) answerCall(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	if strings.TrimSpace(c.Args) == "" {
		return plugin.Reply{}, plugin.Usage("expected a question")
	}
	said := line{who: c.User.Name, rank: c.User.Rank, text: c.Args}
	before := s.heard.last(c.Settings().Int(contextLines))
	if c.Via == plugin.Chat { // a private message is nobody else's
		s.heard.add(said)
	}
	s.look(ctx, c.Channel)
	to := c.User.Name
	if c.Via == plugin.PM {
		to = "" // they know
	}
	lines, err := s.answer(ctx, c.Channel, said, before, to)
	if errors.Is(err, errNotConfigured) {
		return plugin.Text("No language model is configured."), nil
	}
	if over, isOver := errors.AsType[overBudget](err); isOver {
		return plugin.Text("%s", over.Error()), nil
	}
	return plugin.Lines(lines...), err
}

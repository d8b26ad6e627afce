package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/room"
	"rosey.dev/rosey/runtime/status"
)

func (s *Server) pluginPages() []page {
	return []page{
		{"GET /plugins", ForReaders, s.servePlugins},
		{"GET /plugins/actions", ForTokens, s.servePluginActions},
	}
}

// pluginsView is the content of the page of commands and plugins.
type pluginsView struct {
	Problem string
	bus.ChannelCommands
	// Groups are the commands by plugin: those of the bot first, then the plugins in their order.
	Groups []commandGroup
	// Audit reports whether this reader may see what plugins did.
	Audit bool
}

// commandGroup is a plugin with its commands.
type commandGroup struct {
	// Plugin is nil for the bot itself.
	Plugin   *status.PluginReport
	Commands []bus.OfferedCommand
}

func (s *Server) servePlugins(w http.ResponseWriter, r *http.Request) {
	content := pluginsView{Audit: s.allows(ForTokens, r)}
	commands, problem, code := s.commands(r)
	content.Problem, content.ChannelCommands = problem, commands
	if problem == "" {
		content.group()
	}
	s.render(w, r, code, "plugins.html", view{Title: "Plugins", Data: content})
}

// commands returns which commands there are, without what the sender of a request may not see, or why that is not
// known.
func (s *Server) commands(r *http.Request) (commands bus.ChannelCommands, problem string, code int) {
	err := s.ask(r.Context(), bus.CommandsGet(s.options.Channel.Name), s.origin(), &commands)
	if err == nil && !commands.Success {
		err = errNoCommands
	}
	problem, code = s.explain(r.Context(), commandsAndPlugins, err)
	if errors.Is(err, bus.ErrNoService) || errors.Is(err, bus.ErrNoReply) {
		problem = "The bot does not answer at the moment, so it is not known which commands there are."
	}
	if !s.allows(ForTokens, r) {
		hidePrivate(&commands)
	}
	return commands, problem, code
}

// errNoCommands is for a reply that no bot sends.
var errNoCommands = errors.New("the answer has no commands")

// hidePrivate removes what is for who has a token: whom the owner allows or denies a command, and errors of plugins.
func hidePrivate(commands *bus.ChannelCommands) {
	commands.Overrides = []bus.OverriddenCommand{}
	for i := range commands.Plugins {
		commands.Plugins[i].Message = ""
	}
}

// group sets Groups.
func (v *pluginsView) group() {
	of := func(plugin string) (commands []bus.OfferedCommand) {
		for _, one := range v.Commands {
			if one.Plugin == plugin {
				commands = append(commands, one)
			}
		}
		return commands
	}
	for i := range v.Plugins {
		plugin := &v.Plugins[i]
		v.Groups = append(v.Groups, commandGroup{Plugin: plugin, Commands: of(plugin.Name)})
	}
	v.Groups = append(v.Groups, commandGroup{Commands: of("")})
}

// Typed returns what users type for a command, without its arguments.
func (v pluginsView) Typed(name string, command bus.OfferedCommand) string {
	if command.Plugin != "" || slices.Contains(command.Via, bus.ViaChat) { // in private messages, the bot's own need none
		return v.Prefix + name
	}
	return name
}

// Where returns where a command can be given.
func (pluginsView) Where(command bus.OfferedCommand) string {
	words := map[string]string{bus.ViaChat: "chat", bus.ViaPM: "PM"}
	var where []string
	for _, via := range command.Via {
		where = append(where, words[via])
	}
	return strings.Join(where, ", ")
}

// whoMay says who has at least a rank.
func whoMay(rank float64) string {
	switch name := room.RankName(rank); {
	case name != "":
		return name + "s"
	case rank >= 1:
		return "registered users"
	}
	return "everybody"
}

// pluginActionsView is the content of the page of what plugins said and did.
type pluginActionsView struct {
	Problem string
	// Plugin is whose actions are shown. Empty: those of all.
	Plugin string
	// Plugins are the names by which the list can be filtered.
	Plugins []string
	Items   []bus.PluginActionItem
	Pages   pageLinks
}

// Cause returns why something failed, unless the line that was said tells it.
func (pluginActionsView) Cause(item bus.PluginActionItem) string {
	if strings.HasSuffix(item.Said, item.Problem) {
		return ""
	}
	return item.Problem
}

// shownCall is how much of the ID of a call is shown: as much as tells those of a page apart.
const shownCall = 8

func shortCall(id string) string {
	return fmt.Sprintf("%.*s", shownCall, status.Printable(id))
}

func (s *Server) servePluginActions(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	content := pluginActionsView{Plugin: query.Get("plugin")}
	request := bus.PluginActionsRequest{
		Page: bus.Page{Cursor: query.Get("cursor")}, Plugin: content.Plugin, Origin: s.origin(),
	}
	var reply bus.PluginActionsReply
	err := s.ask(r.Context(), bus.QueryPluginActions, request, &reply)
	problem, code := s.explain(r.Context(), "what plugins did", err)
	content.Problem, content.Items = problem, reply.Items
	content.Plugins = s.pluginsToChoose(r.Context(), content)
	values := url.Values{}
	if content.Plugin != "" {
		values.Set("plugin", content.Plugin)
	}
	content.Pages = linkPages("More actions", "plugins/actions", values, "cursor", request.Cursor, reply.Next)
	s.render(w, r, code, "pluginactions.html", view{Title: "What plugins did", Data: content})
}

// pluginsToChoose returns the names of the plugins that are configured, as far as the bot answers, and of those in the
// list, which may be there no more.
func (s *Server) pluginsToChoose(ctx context.Context, content pluginActionsView) (names []string) {
	var commands bus.ChannelCommands
	err := s.ask(ctx, bus.CommandsGet(s.options.Channel.Name), s.origin(), &commands)
	s.logUnexpected(ctx, commandsAndPlugins, err)
	for _, one := range commands.Plugins {
		names = append(names, one.Name)
	}
	for _, item := range content.Items {
		names = append(names, item.Plugin)
	}
	if bus.IsPluginName(content.Plugin) {
		names = append(names, content.Plugin)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *Server) servePluginsAPI(w http.ResponseWriter, r *http.Request) {
	p := &parameters{values: r.URL.Query()}
	if problem := p.end(); problem.code != 0 {
		failAPI(w, problem.code, problem.message)
		return
	}
	commands, problem, code := s.commands(r)
	if problem != "" {
		s.fail(w, r, code, problem)
		return
	}
	writeJSON(w, http.StatusOK, commands)
}

func (s *Server) readPluginActions(_ *http.Request, p *parameters) bus.PluginActionsRequest {
	return bus.PluginActionsRequest{Range: p.span(), Page: p.page(), Plugin: p.text("plugin"), Origin: s.origin()}
}

package natsauth

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// ServerUser is a user of an account in a server's configuration.
type ServerUser struct {
	Name string
	// Password is a hash, or a variable such as $PASSWORD. Empty: Variable.
	Password string
	// Variable is the name of a variable of the configuration or the server's environment with the password.
	Variable string
	Roles    []bus.Role
	Options  Options
}

// about says what a user is for.
func (u ServerUser) about() string {
	var about []string
	for _, role := range u.Roles {
		if role != bus.PluginRole {
			about = append(about, About(role))
			continue
		}
		var names []string
		for _, plugin := range u.Options.Plugins {
			names = append(names, plugin.Name+" in "+plugin.Channel)
		}
		about = append(about, "plugin "+strings.Join(names, ", "))
	}
	return strings.Join(about, "; ")
}

// ServerAccount is an account in a server's configuration.
type ServerAccount struct {
	Name  string
	About string
	// MaxFile is how many bytes the streams of the account may reserve. 0: the account has no JetStream.
	MaxFile int64
	Users   []ServerUser
}

// Limits of an account with JetStream, for server.conf and JWT alike: its streams are those of events and of the leader
// election. A few more leave room for an administrator's own.
const (
	maxStreams   = 10
	maxConsumers = 100
)

// ServerAccounts returns the content of the section accounts in a server's configuration.
func ServerAccounts(accounts []ServerAccount) string {
	var out bytes.Buffer
	for i, account := range accounts {
		if i > 0 {
			out.WriteString("\n")
		}
		if account.About != "" {
			fmt.Fprintf(&out, "  # %s\n", account.About)
		}
		fmt.Fprintf(&out, "  %s: {\n", quote(account.Name))
		if account.MaxFile > 0 {
			fmt.Fprintf(&out, "    jetstream: {max_memory: 1MB, max_file: %d, max_streams: %d, max_consumers: %d}\n",
				account.MaxFile, maxStreams, maxConsumers)
		}
		out.WriteString("    users: [\n")
		for _, user := range account.Users {
			writeUser(&out, "      ", user)
		}
		out.WriteString("    ]\n  }\n")
	}
	return out.String()
}

// ServerUsers returns the users of one account, as they are written in a server's configuration.
func ServerUsers(users []ServerUser) string {
	var out bytes.Buffer
	out.WriteString("users: [\n")
	for _, user := range users {
		writeUser(&out, "  ", user)
	}
	out.WriteString("]\n")
	return out.String()
}

func writeUser(out *bytes.Buffer, indent string, user ServerUser) {
	password := quote(user.Password)
	if user.Password == "" {
		password = "$" + user.Variable
	}
	p := user.Options.For(user.Roles...)
	fmt.Fprintf(out, "%s# %s\n%s{\n", indent, user.about(), indent)
	fmt.Fprintf(out, "%s  user: %s\n%s  password: %s\n", indent, quote(user.Name), indent, password)
	fmt.Fprintf(out, "%s  permissions: {\n", indent)
	var grants []Grant
	for _, role := range user.Roles {
		grants = append(grants, user.Options.Grants(role)...)
	}
	writeSubjects(out, indent+"    ", "publish", p.Publish, grants, func(g Grant) []string { return g.Publish })
	writeSubjects(out, indent+"    ", "subscribe", p.Subscribe, grants, func(g Grant) []string { return g.Subscribe })
	if p.Responses != nil {
		fmt.Fprintf(out, "%s    allow_responses: {max: %d, expires: %q}\n",
			indent, p.Responses.Max, seconds(p.Responses.Expires))
	}
	fmt.Fprintf(out, "%s  }\n%s}\n", indent, indent)
}

// writeSubjects writes the subjects that may be published or subscribed to, with the reasons of the grants that pick
// returns them of.
func writeSubjects(
	out *bytes.Buffer, indent, name string, subjects Subjects, grants []Grant, pick func(Grant) []string,
) {
	fmt.Fprintf(out, "%s%s: {\n", indent, name)
	if len(subjects.Allow) > 0 {
		fmt.Fprintf(out, "%s  allow: [\n", indent)
		var written []string
		for _, grant := range grants {
			before := len(written)
			written = appendMissing(written, pick(grant))
			if len(written) == before {
				continue
			}
			fmt.Fprintf(out, "%s    # %s\n", indent, grant.Why)
			for _, subject := range written[before:] {
				fmt.Fprintf(out, "%s    %s\n", indent, quote(subject))
			}
		}
		fmt.Fprintf(out, "%s  ]\n", indent)
	}
	if len(subjects.Deny) > 0 {
		var denied []string
		for _, subject := range subjects.Deny {
			denied = append(denied, quote(subject))
		}
		fmt.Fprintf(out, "%s  deny: [%s]\n", indent, strings.Join(denied, ", "))
	}
	fmt.Fprintf(out, "%s}\n", indent)
}

// quote returns a string of a server's configuration. Without the quotes, "$" would begin a variable.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// NSC returns the commands that create a user in an account of nsc. The permissions of a user of plugins are those of a
// signing key: with many of them its JWT would be longer than the line of the protocol that a server accepts.
func NSC(account string, user ServerUser) string {
	permissions, name := nscPermissions(user.Options.For(user.Roles...)), shellQuote(user.Name)
	if !slices.Contains(user.Roles, bus.PluginRole) {
		return nscCommand("add user", account, append([]string{"--name " + name}, permissions...))
	}
	return nscCommand("edit signing-key", account, append([]string{"--sk generate --role " + name}, permissions...)) +
		nscCommand("add user", account, []string{"--name " + name + " -K " + name})
}

func nscCommand(verb, account string, arguments []string) string {
	command := "nsc " + verb + " --account " + shellQuote(account) + " " + arguments[0]
	return strings.Join(append([]string{command}, arguments[1:]...), " \\\n  ") + "\n"
}

func nscPermissions(p Permissions) (arguments []string) {
	for _, list := range []struct {
		flag     string
		subjects []string
	}{
		{"--allow-pub", p.Publish.Allow}, {"--deny-pub", p.Publish.Deny},
		{"--allow-sub", p.Subscribe.Allow}, {"--deny-sub", p.Subscribe.Deny},
	} {
		for _, subject := range list.subjects {
			arguments = append(arguments, list.flag+" "+shellQuote(subject))
		}
	}
	if p.Responses != nil {
		arguments = append(arguments, "--allow-pub-response="+strconv.Itoa(p.Responses.Max)+
			" --response-ttl "+seconds(p.Responses.Expires))
	}
	return arguments
}

func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) + "s" }

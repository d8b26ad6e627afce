package natsauth

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/crypto/bcrypt"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// IssueOptions configure Issue.
type IssueOptions struct {
	// Expires is how long a user's JWT is valid. 0: forever.
	Expires time.Duration
	// RenewBefore is how long before the end a JWT is issued again.
	RenewBefore time.Duration
	// Rotate is the ID of the RoseyBot whose users get new credentials. Empty: none.
	Rotate string
	// Remove are the IDs of RoseyBots that are gone: their users, and their accounts, are removed. None may be among the
	// RoseyBots to issue for, or another one's owner.
	Remove []string
	// Commands lets the command lines and the web pages have bots execute commands.
	Commands bool
	// People lets the command lines export and remove what is stored about a person.
	People bool
	// AllowRemoval lets administrators remove the streams of manual provisioning.
	AllowRemoval bool
	// MaxControlLine is how many bytes of a line of the protocol the server accepts: max_control_line in its
	// configuration. 0: DefaultMaxControlLine.
	MaxControlLine int
	// Now is the time of issue.
	Now time.Time
}

// Issued says what Issue has done.
type Issued struct {
	// Changes are for people, one for each account or user, without secrets.
	Changes []string
	// Unset says, for each RoseyBot that does not name its Secrets, what to set.
	Unset []string
}

// Issue returns a new state with accounts and users for RoseyBots: what exists and is neither changed, due nor to be
// rotated stays as it is, also that of RoseyBots that are not among bots. The old state is not changed.
func Issue(before *State, bots []Bot, o IssueOptions) (*State, Issued, error) {
	state, err := before.clone()
	if err != nil {
		return nil, Issued{}, err
	}
	r := &run{state: state, options: o}
	if o.Rotate != "" && !slices.ContainsFunc(bots, func(b Bot) bool { return b.ID() == o.Rotate }) {
		return nil, Issued{}, fmt.Errorf("no RoseyBot %s, expected NAMESPACE/NAME of one of the file", o.Rotate)
	}
	for _, id := range o.Remove {
		if err := r.remove(id, bots); err != nil {
			return nil, Issued{}, fmt.Errorf("removing RoseyBot %s: %w", id, err)
		}
	}
	if err := r.issueAll(bots); err != nil {
		return nil, Issued{}, err
	}
	if err := state.checkSecrets(); err != nil {
		return nil, Issued{}, err
	}
	return state, r.issued, nil
}

// issueAll issues what all accounts need, and then each account.
func (r *run) issueAll(bots []Bot) error {
	if r.state.Target == JWTTarget {
		if err := r.ensureOperator(); err != nil {
			return err
		}
	}
	for _, bot := range bots {
		if err := r.removeMoved(bot); err != nil {
			return fmt.Errorf("removing old users of RoseyBot %s: %w", bot.ID(), err)
		}
	}
	for _, bot := range bots {
		if bot.SharedFrom != "" {
			continue
		}
		if err := r.issueAccount(bot, bots); err != nil {
			return fmt.Errorf("issuing for RoseyBot %s: %w", bot.ID(), err)
		}
	}
	if r.state.Target != JWTTarget {
		return nil
	}
	return r.signSystemAccount()
}

// run is one Issue.
type run struct {
	state   *State
	options IssueOptions
	issued  Issued
}

func (r *run) changed(format string, arguments ...any) {
	r.issued.Changes = append(r.issued.Changes, fmt.Sprintf(format, arguments...))
}

// remove removes the users and the account of a RoseyBot that is gone, so that others can use the names of its Secrets.
func (r *run) remove(id string, bots []Bot) error {
	for _, bot := range bots {
		if bot.ID() == id || bot.owner() == id {
			return fmt.Errorf("RoseyBot %s of the file uses its account, expected one that is not in the file", bot.ID())
		}
	}
	before := len(r.issued.Changes)
	if err := r.removeUsers(id, ""); err != nil {
		return err
	}
	if len(r.issued.Changes) == before {
		return errors.New("nothing was issued for it, expected NAMESPACE/NAME of one that is gone")
	}
	return nil
}

// removeMoved removes the users of a RoseyBot from accounts that it no longer uses, because it shares another database
// service now.
func (r *run) removeMoved(bot Bot) error { return r.removeUsers(bot.ID(), bot.owner()) }

// removeUsers removes the users of a RoseyBot from all accounts except that of the RoseyBot kept. An account of its own
// goes with them, also with users of others: only what it has published there and not stored is left.
func (r *run) removeUsers(botID, kept string) error {
	for _, id := range slices.Sorted(maps.Keys(r.state.Accounts)) {
		if id == kept {
			continue
		}
		account := r.state.Accounts[id]
		var removed []*User
		for _, name := range slices.Sorted(maps.Keys(account.Users)) {
			if user := account.Users[name]; user.Bot == botID {
				removed = append(removed, user)
				delete(account.Users, name)
				r.changed("user %s: removed from account %s", name, account.Name)
			}
		}
		switch {
		case id == botID:
			delete(r.state.Accounts, id)
			r.changed("account %s: removed", account.Name)
		case len(removed) > 0 && r.state.Target == JWTTarget:
			if err := r.signAccount(account, removed); err != nil {
				return err
			}
		}
	}
	return nil
}

// issueAccount brings the account of a RoseyBot and all its users up to date.
func (r *run) issueAccount(owner Bot, bots []Bot) error {
	account := r.state.Accounts[owner.ID()]
	if account == nil {
		account = &Account{Name: accountName(owner), Users: map[string]*User{}}
		r.state.Accounts[owner.ID()] = account
		r.changed("account %s: created", account.Name)
	}
	account.Prefix, account.JetStream, account.Manual = owner.Prefix, owner.JetStream, owner.Manual
	account.Commands, account.People, account.Removable = r.options.Commands, r.options.People, r.options.AllowRemoval
	account.WebReadOnly = !slices.ContainsFunc(bots, func(b Bot) bool {
		return b.owner() == owner.ID() && b.Web != nil && b.Web.Tokens
	})
	account.MaxFile = 0
	if owner.JetStream != config.JetStreamNever {
		account.MaxFile = (owner.MaxBytes + bucketBytes) * owner.Replicas
	}
	options, err := account.options()
	if err != nil {
		return err
	}
	wanted := r.wantedUsers(owner, bots)
	var removed []*User
	for _, name := range slices.Sorted(maps.Keys(account.Users)) {
		if _, ok := wanted[name]; !ok && inFile(account.Users[name].Bot, bots) {
			removed = append(removed, account.Users[name])
			delete(account.Users, name)
			r.changed("user %s: removed", name)
		}
	}
	replaced, err := r.issueUsers(account, wanted, options)
	if err != nil || r.state.Target != JWTTarget {
		return err
	}
	return r.signAccount(account, append(removed, replaced...))
}

// bucketBytes is the room for the bucket of the leader election.
const bucketBytes = 16 << 20

// accountName returns a name that no other RoseyBot's account has: namespaces and names do not contain '_'.
func accountName(b Bot) string { return "rosey_" + b.Namespace + "_" + b.Name }

// options returns what the permissions of the account's users depend on. The leader election is always among them, so
// that a second replica needs no new credentials.
func (a *Account) options() (Options, error) {
	subjects, err := bus.NewSubjects(a.Prefix)
	return Options{
		Subjects: subjects, JetStream: a.JetStream, Manual: a.Manual, Standby: true, Commands: a.Commands,
		People: a.People, WebReadOnly: a.WebReadOnly,
	}, err
}

func inFile(id string, bots []Bot) bool {
	return slices.ContainsFunc(bots, func(b Bot) bool { return b.ID() == id })
}

// wantedUsers returns the users of an account, by name, without credentials. A RoseyBot that shares the service logs in
// with the Secret of the owner, so only its command line is a user, and its web page if that has a Secret of its own.
// Web pages with the same Secret are one user, as bot and service are.
func (r *run) wantedUsers(owner Bot, bots []Bot) map[string]User {
	wanted := map[string]User{}
	add := func(bot Bot, secret string, roles ...bus.Role) {
		wanted[accountName(bot)+"_"+joinRoles(roles)] = User{Bot: bot.ID(), Roles: roles, Secret: secret}
	}
	botSecret, serviceSecret := r.secrets(owner)
	roles := map[string][]bus.Role{botSecret: {bus.BotRole}}
	serviceSecret = cmp.Or(serviceSecret, botSecret) // pods that mount the same Secret log in as one user
	roles[serviceSecret] = append(roles[serviceSecret], bus.ServiceRole)
	pages := map[string]bool{} // Secrets of web pages alone
	add(owner, "", bus.CLIRole)
	if owner.Manual {
		add(owner, "", bus.AdminRole)
	}
	for _, bot := range bots {
		if bot.owner() != owner.ID() {
			continue
		}
		if bot.SharedFrom != "" {
			add(bot, "", bus.CLIRole)
		}
		r.addPluginUsers(wanted, bot)
		switch secret := bot.webSecret(botSecret); {
		case secret == "":
		case pages[secret]:
		case roles[secret] == nil:
			pages[secret] = true
			add(bot, secret, bus.WebRole)
		default:
			roles[secret] = appendRole(roles[secret], bus.WebRole)
		}
	}
	for secret, its := range roles {
		add(owner, secret, its...)
	}
	return wanted
}

// secrets returns the names of the Secrets of bot and service, and notes what a RoseyBot should set. An empty one of
// the service is that of the bot.
func (r *run) secrets(b Bot) (botSecret, serviceSecret string) {
	if b.BotSecret == "" || b.ServiceSecret == "" {
		r.issued.Unset = append(r.issued.Unset, unset(b))
	}
	botSecret, serviceSecret = cmp.Or(b.BotSecret, b.Name+"-nats-bot"), b.ServiceSecret
	if serviceSecret == "" && b.BotSecret == "" {
		serviceSecret = b.Name + "-nats-db"
	}
	return botSecret, serviceSecret
}

// webSecret returns the name of the Secret with which the web page logs in. Empty: there is no web page.
func (b Bot) webSecret(botSecret string) string {
	if b.Web == nil {
		return ""
	}
	return cmp.Or(b.Web.Secret, botSecret)
}

func appendRole(roles []bus.Role, role bus.Role) []bus.Role {
	if slices.Contains(roles, role) {
		return roles
	}
	return append(roles, role)
}

// unset says what a RoseyBot should set.
func unset(b Bot) string {
	if b.BotSecret == "" {
		return fmt.Sprintf("%s: set spec.nats.credentialsSecretRef.name to %s-nats-bot and "+
			"spec.database.natsCredentialsSecretRef.name to %s", b.ID(), b.Name, cmp.Or(b.ServiceSecret, b.Name+"-nats-db"))
	}
	return fmt.Sprintf("%s: bot and database service share a user, because spec.database.natsCredentialsSecretRef is not "+
		"set; with it, each has only its own permissions", b.ID())
}

// issueUsers creates, renews and rotates users. It returns those whose credentials were replaced.
func (r *run) issueUsers(account *Account, wanted map[string]User, o Options) (replaced []*User, err error) {
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		want, user := wanted[name], account.Users[name]
		switch {
		case user == nil:
			r.changed("user %s: created", name)
		case want.Bot == r.options.Rotate:
			replaced = append(replaced, user)
			r.changed("user %s: rotated", name)
			user = nil
		}
		if user == nil {
			user = &want
			account.Users[name] = user
			if err := r.newCredentials(user); err != nil {
				return nil, err
			}
		}
		if r.state.Target != JWTTarget && !samePlugins(user.Plugins, want.Plugins) {
			r.changed("user %s: permissions changed", name)
		}
		user.Roles, user.Secret, user.Plugins = want.Roles, want.Secret, want.Plugins
		if r.state.Target == JWTTarget {
			if err := r.signUser(account, name, user, user.permissions(o)); err != nil {
				return nil, err
			}
		}
	}
	return replaced, nil
}

// permissions returns the permissions of a user of an account with options.
func (u *User) permissions(o Options) Permissions {
	o.Plugins = u.Plugins
	return o.For(u.Roles...)
}

// hashCost is the lowest: passwords have 128 random bits, which no cost could make harder to guess, and the server
// hashes at every login.
const hashCost = bcrypt.MinCost

func (r *run) newCredentials(user *User) error {
	if r.state.Target == JWTTarget {
		return user.newKey()
	}
	user.Password = rand.Text()
	hash, err := bcrypt.GenerateFromPassword([]byte(user.Password), hashCost)
	if err != nil {
		return fmt.Errorf("hashing a password: %w", err)
	}
	user.Hash = string(hash)
	return nil
}

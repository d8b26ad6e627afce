package natsauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// Target is the kind of server configuration that accounts and users are issued for.
type Target string

// The targets.
const (
	// ServerConfTarget lists accounts and users with hashes of passwords in the server's configuration.
	ServerConfTarget Target = "server.conf"
	// JWTTarget is operator mode: accounts and users are JWTs signed with NKeys.
	JWTTarget Target = "jwt"
)

// State is everything that was issued, secrets included. All files are derived from it.
type State struct {
	Version int    `json:"version"`
	Target  Target `json:"for"`
	// Operator and System are keys and JWTs of JWTTarget.
	Operator *Signed `json:"operator,omitempty"`
	System   *Signed `json:"system,omitempty"`
	// Accounts are by the ID of the RoseyBot that owns the account.
	Accounts map[string]*Account `json:"accounts"`
}

// Signed is an NKey and the JWT about it.
type Signed struct {
	Seed string `json:"seed"`
	JWT  string `json:"jwt"`
}

// Account is the account of a RoseyBot and those that share its database service.
type Account struct {
	Name string `json:"name"`
	*Signed
	// Prefix, JetStream, Manual, Commands, People and WebReadOnly make the Options of the permissions.
	Prefix      string `json:"prefix"`
	JetStream   string `json:"jetStream"`
	Manual      bool   `json:"manual,omitempty"`
	Commands    bool   `json:"commands,omitempty"`
	People      bool   `json:"people,omitempty"`
	WebReadOnly bool   `json:"webReadOnly,omitempty"`
	// Removable lets an administrator remove stream, consumer and bucket although Manual is set: see refusals.
	Removable bool `json:"removable,omitempty"`
	// MaxFile is how many bytes its streams may reserve.
	MaxFile int64 `json:"maxFile"`
	// Users are by their name.
	Users map[string]*User `json:"users"`
}

// User is a user of an account. It logs in with Password, or with Signed.
type User struct {
	// Bot is the ID of its RoseyBot.
	Bot   string     `json:"bot"`
	Roles []bus.Role `json:"roles"`
	// Secret is the name of the Secret, in the RoseyBot's namespace, that pods mount. Empty: no pod uses the user.
	Secret string `json:"secret,omitempty"`
	// Plugins are those of a user with bus.PluginRole.
	Plugins  []Plugin `json:"plugins,omitempty"`
	Password string   `json:"password,omitempty"`
	Hash     string   `json:"hash,omitempty"`
	*Signed
	// Scope is the seed of the signing key of the account that has signed JWT, if the permissions are the key's: a JWT
	// with those of many plugins would be longer than the line of the protocol that a server accepts. Empty: they are in
	// JWT.
	Scope string `json:"scope,omitempty"`
	// Expires is when JWT expires. Zero: never.
	Expires time.Time `json:"expires,omitzero"`
}

// stateVersion is the version of the format of State.
const stateVersion = 1

// stateFile holds the State in the output directory.
const stateFile = "state.json"

// ReadState reads the state of an output directory. It returns a new State for target if there is none.
func ReadState(dir string, target Target) (*State, error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return &State{Version: stateVersion, Target: target, Accounts: map[string]*Account{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was issued before: %w", err)
	}
	s := &State{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("reading what was issued before, %s: %w", filepath.Join(dir, stateFile), err)
	}
	switch {
	case s.Version != stateVersion:
		return nil, fmt.Errorf("%s: version: %d, expected %d", filepath.Join(dir, stateFile), s.Version, stateVersion)
	case s.Target != target:
		return nil, fmt.Errorf("%s was issued for %s, expected %s: use another directory", dir, s.Target, target)
	}
	if s.Accounts == nil {
		s.Accounts = map[string]*Account{}
	}
	for id, account := range s.Accounts {
		if account == nil || account.Users == nil {
			return nil, fmt.Errorf("%s: account %q: expected an object with users", filepath.Join(dir, stateFile), id)
		}
		for name, user := range account.Users {
			if user == nil {
				return nil, fmt.Errorf("%s: user %q: expected an object", filepath.Join(dir, stateFile), name)
			}
		}
	}
	return s, nil
}

// checkSecrets returns an error if two users have one Secret. It can have the credentials of one of them only, with
// which the pods of both would log in, so that one RoseyBot would be in the account of the other.
func (s *State) checkSecrets() error {
	bots := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(s.Accounts)) {
		account := s.Accounts[id]
		for _, name := range slices.Sorted(maps.Keys(account.Users)) {
			user := account.Users[name]
			if user.Secret == "" {
				continue
			}
			namespace, _, _ := strings.Cut(user.Bot, "/")
			secret := namespace + "/" + user.Secret
			if other, taken := bots[secret]; taken {
				return fmt.Errorf("RoseyBots %s and %s: both use the Secret %s, expected one for each account and each plugin: "+
					"set another name in spec.nats.credentialsSecretRef, spec.database.natsCredentialsSecretRef or "+
					"spec.plugins[].natsCredentialsSecretRef", other, user.Bot, user.Secret)
			}
			bots[secret] = user.Bot
		}
	}
	return nil
}

// clone returns a deep copy.
func (s *State) clone() (*State, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("copying the state: %w", err)
	}
	copied := &State{}
	if err := json.Unmarshal(data, copied); err != nil {
		return nil, fmt.Errorf("copying the state: %w", err)
	}
	return copied, nil
}

// Write writes the state and the files that are derived from it into a directory, for their owner alone. Files that do
// not change are not touched; those that belong to the state before and no longer to this one are removed. The state
// comes first and all at once: if a later file fails, the next run writes it.
func (s *State) Write(dir string, before *State) error {
	files, err := s.files()
	if err != nil {
		return err
	}
	old, err := before.files()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	if err := writeFile(filepath.Join(dir, stateFile), append(data, '\n')); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := writeFile(filepath.Join(dir, name), files[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, kept := files[name]; kept {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the file of a user that is gone: %w", err)
		}
	}
	return nil
}

// writeFile replaces a file at once, and not at all if it has the content already.
func writeFile(path string, content []byte) error {
	if err := replaceFile(path, content); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

//nolint:wrapcheck // writeFile says what was attempted
func replaceFile(path string, content []byte) error {
	if current, err := os.ReadFile(path); err == nil && string(current) == string(content) {
		return os.Chmod(path, 0o600)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(part.Name()) }() // it is gone if it was renamed
	_, err = part.Write(content)
	err = errors.Join(err, part.Sync(), part.Close())
	if err != nil {
		return err
	}
	return os.Rename(part.Name(), path)
}

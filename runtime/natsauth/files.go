package natsauth

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nats-io/jwt/v2"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// The files of the output directory, beside stateFile.
const (
	// AccountsFile is for `include` in the section accounts of a server's configuration, SystemFile in the system account.
	AccountsFile = "accounts.conf"
	SystemFile   = "system.conf"
	// OperatorFile is for `include` in the configuration of a server in operator mode.
	OperatorFile = "operator.conf"
	// SecretsDir has the manifests of the Secrets, by namespace.
	SecretsDir = "secrets"
	// UsersDir has a directory for nats.credentialsDir for each user that no pod uses.
	UsersDir = "users"
)

// files returns the files that are derived from the state, by their names in the output directory.
func (s *State) files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, id := range slices.Sorted(maps.Keys(s.Accounts)) {
		account := s.Accounts[id]
		for name, user := range account.Users {
			if err := addUserFiles(files, name, user); err != nil {
				return nil, fmt.Errorf("user %s: %w", name, err)
			}
		}
	}
	if s.Target == JWTTarget {
		return files, s.addOperatorFile(files)
	}
	accounts, err := s.serverAccounts()
	if err != nil {
		return nil, err
	}
	files[AccountsFile] = []byte("# Written by `rosey nats issue`. Include it in the section accounts of the server's " +
		"configuration.\n" + ServerAccounts(accounts))
	files[SystemFile], err = s.systemFile()
	return files, err
}

func (s *State) serverAccounts() (accounts []ServerAccount, err error) {
	for _, id := range slices.Sorted(maps.Keys(s.Accounts)) {
		account := s.Accounts[id]
		options, err := account.options()
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", account.Name, err)
		}
		written := ServerAccount{Name: account.Name, About: "RoseyBot " + id, MaxFile: account.MaxFile}
		for _, name := range slices.Sorted(maps.Keys(account.Users)) {
			user := account.Users[name]
			options.Plugins = user.Plugins
			written.Users = append(written.Users, ServerUser{
				Name: name, Password: user.Hash, Roles: user.Roles, Options: options})
		}
		accounts = append(accounts, written)
	}
	return accounts, nil
}

// addUserFiles adds a user's credentials: in a Secret for a pod, and in a directory for a person.
func addUserFiles(files map[string][]byte, name string, user *User) error {
	content := map[string]string{config.NATSUserFile: name, config.NATSPasswordFile: user.Password}
	if user.Signed != nil {
		creds, err := jwt.FormatUserConfig(user.JWT, []byte(user.Seed))
		if err != nil {
			return fmt.Errorf("formatting the credentials: %w", err)
		}
		content = map[string]string{config.NATSCredsFile: string(creds)}
	}
	if user.Secret == "" {
		for file, text := range content {
			files[path.Join(UsersDir, user.Bot, joinRoles(user.Roles), file)] = []byte(text)
		}
		return nil
	}
	namespace, _, _ := strings.Cut(user.Bot, "/")
	data, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata":   map[string]string{"namespace": namespace, "name": user.Secret},
		"stringData": content,
	})
	if err != nil {
		return fmt.Errorf("encoding the Secret %s: %w", user.Secret, err)
	}
	files[path.Join(SecretsDir, namespace, user.Secret+".yaml")] = data
	return nil
}

func joinRoles(roles []bus.Role) string {
	var names []string
	for _, role := range roles {
		names = append(names, string(role))
	}
	return strings.Join(names, "_")
}

// addOperatorFile adds the configuration of a server in operator mode. It has no secrets in it.
func (s *State) addOperatorFile(files map[string][]byte) error {
	if s.Operator == nil {
		return nil // nothing was issued yet
	}
	preload := map[string]string{}
	for _, signed := range append([]*Signed{s.System}, s.accountKeys()...) {
		account, err := readKey(signed.Seed)
		if err != nil {
			return err
		}
		preload[account.public] = signed.JWT
	}
	system, err := readKey(s.System.Seed)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString("# Written by `rosey nats issue`. Include it in the configuration of a server in operator mode.\n")
	fmt.Fprintf(&out, "operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n", s.Operator.JWT,
		system.public)
	for _, public := range slices.Sorted(maps.Keys(preload)) {
		fmt.Fprintf(&out, "  %s: %s\n", public, preload[public])
	}
	out.WriteString("}\n")
	files[OperatorFile] = out.Bytes()
	return nil
}

func (s *State) accountKeys() (keys []*Signed) {
	for _, account := range s.Accounts {
		if account.Signed != nil {
			keys = append(keys, account.Signed)
		}
	}
	return keys
}

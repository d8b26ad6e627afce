package natsauth

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"rosey.dev/rosey/runtime/bus"
)

// ensureOperator creates the operator, which signs accounts, and the system account, which the server needs.
func (r *run) ensureOperator() error {
	if r.state.Operator != nil && r.state.System != nil {
		return nil
	}
	operator, err := newKey(nkeys.CreateOperator)
	if err != nil {
		return err
	}
	system, err := newKey(nkeys.CreateAccount)
	if err != nil {
		return err
	}
	claims := jwt.NewOperatorClaims(operator.public)
	claims.Name, claims.SystemAccount = "rosey", system.public
	token, err := claims.Encode(operator.pair)
	if err != nil {
		return fmt.Errorf("signing the operator: %w", err)
	}
	r.state.Operator = &Signed{Seed: operator.seed, JWT: token}
	r.state.System = &Signed{Seed: system.seed}
	r.changed("operator: created")
	return nil
}

// signSystemAccount signs the system account with the requests that it refuses, unless it has them already.
func (r *run) signSystemAccount() error {
	operator, err := readKey(r.state.Operator.Seed)
	if err != nil {
		return err
	}
	subject, err := readKey(r.state.System.Seed)
	if err != nil {
		return err
	}
	claims := jwt.NewAccountClaims(subject.public)
	claims.Name = "SYS"
	refused, err := r.state.refusals()
	if err != nil {
		return err
	}
	for _, request := range refused {
		claims.AddMapping(jwt.Subject(request), jwt.WeightedMapping{Subject: refusedSubject})
	}
	if r.state.System.JWT != "" {
		current, err := jwt.DecodeAccountClaims(r.state.System.JWT)
		if err != nil {
			return fmt.Errorf("reading the JWT of the system account: %w", err)
		}
		if len(current.Mappings) == len(claims.Mappings) && reflect.DeepEqual(
			slices.Sorted(maps.Keys(current.Mappings)), slices.Sorted(maps.Keys(claims.Mappings))) {
			return nil
		}
		r.changed("system account: changed")
	}
	if r.state.System.JWT, err = claims.Encode(operator.pair); err != nil {
		return fmt.Errorf("signing the system account: %w", err)
	}
	return nil
}

// key is an NKey.
type key struct {
	pair         nkeys.KeyPair
	seed, public string
}

func newKey(create func() (nkeys.KeyPair, error)) (key, error) {
	pair, err := create()
	if err != nil {
		return key{}, fmt.Errorf("creating an NKey: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return key{}, fmt.Errorf("creating an NKey: %w", err)
	}
	return readKey(string(seed))
}

func readKey(seed string) (key, error) {
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return key{}, fmt.Errorf("reading an NKey of the state: %w", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return key{}, fmt.Errorf("reading an NKey of the state: %w", err)
	}
	return key{pair: pair, seed: seed, public: public}, nil
}

func (u *User) newKey() error {
	created, err := newKey(nkeys.CreateUser)
	if err != nil {
		return err
	}
	u.Signed = &Signed{Seed: created.seed}
	return nil
}

// signUser signs a user's JWT unless it has one that is neither due nor of other permissions.
func (r *run) signUser(account *Account, name string, user *User, p Permissions) error {
	wanted := jwtPermissions(p)
	if len(user.Plugins) > 0 {
		wanted = jwt.Permissions{} // those of the key
	}
	needed, err := r.needsSigning(name, user, wanted)
	if err != nil || !needed {
		return err
	}
	if account.Signed == nil {
		created, err := newKey(nkeys.CreateAccount)
		if err != nil {
			return err
		}
		account.Signed = &Signed{Seed: created.seed}
	}
	subject, err := readKey(user.Seed)
	if err != nil {
		return err
	}
	claims := jwt.NewUserClaims(subject.public)
	claims.Name, claims.Permissions = name, wanted
	signer, err := r.signer(account, user, claims)
	if err != nil {
		return err
	}
	user.Expires = time.Time{}
	if r.options.Expires > 0 {
		user.Expires = r.options.Now.Add(r.options.Expires).UTC().Truncate(time.Second)
		claims.Expires = user.Expires.Unix()
	}
	if user.JWT, err = claims.Encode(signer.pair); err != nil {
		return fmt.Errorf("signing user %s: %w", name, err)
	}
	return r.checkLine(name, user)
}

const (
	// DefaultMaxControlLine is how many bytes of a line of the protocol a NATS server accepts by default.
	DefaultMaxControlLine = 4096
	// maxConnectRest is the most that CONNECT has beside the JWT: a signature, the name of the client, and options.
	maxConnectRest = 400
)

// LoginLine returns how many bytes a line of the protocol needs with which a user logs in by a JWT. That of a user with
// plugins has no permissions in it: the key that signs it has them.
func LoginLine(of ServerUser) (int, error) {
	account, err := newKey(nkeys.CreateAccount)
	if err != nil {
		return 0, err
	}
	user, err := newKey(nkeys.CreateUser)
	if err != nil {
		return 0, err
	}
	claims := jwt.NewUserClaims(user.public)
	claims.Name = of.Name
	if !slices.Contains(of.Roles, bus.PluginRole) {
		claims.Permissions = jwtPermissions(of.Options.For(of.Roles...))
	}
	token, err := claims.Encode(account.pair)
	if err != nil {
		return 0, fmt.Errorf("signing user %s: %w", of.Name, err)
	}
	return len(token) + maxConnectRest, nil
}

// checkLine returns an error if a server would refuse the line with which a user logs in, which has the JWT with all
// permissions in it.
func (r *run) checkLine(name string, user *User) error {
	line, most := len(user.JWT)+maxConnectRest, cmp.Or(r.options.MaxControlLine, DefaultMaxControlLine)
	if line <= most {
		return nil
	}
	remedy := "set a shorter spec.nats.subjectPrefix"
	if len(user.Roles) > 1 {
		remedy = "give bot, database service and web page a Secret each, " + remedy
	}
	return fmt.Errorf("user %s: with its permissions, a line of %d bytes is needed to log in, and the server accepts "+
		"%d: %s, or set max_control_line in the server's configuration, and --max-control-line to the same",
		name, line, most, remedy)
}

// signer returns the key that signs the JWT of a user: that of the account, or for plugins one of their own.
func (r *run) signer(account *Account, user *User, claims *jwt.UserClaims) (key, error) {
	signer, err := readKey(account.Seed)
	if err != nil || len(user.Plugins) == 0 {
		user.Scope = ""
		return signer, err
	}
	claims.IssuerAccount = signer.public
	claims.SetScoped(true)
	if user.Scope != "" {
		return readKey(user.Scope)
	}
	scope, err := newKey(nkeys.CreateAccount)
	user.Scope = scope.seed
	return scope, err
}

// scopes returns the signing keys of an account with their permissions, which are those of the users with plugins.
func (a *Account) scopes() (jwt.SigningKeys, error) {
	keys := jwt.SigningKeys{}
	options, err := a.options()
	if err != nil {
		return nil, err
	}
	for name, user := range a.Users {
		if user.Scope == "" {
			continue
		}
		signer, err := readKey(user.Scope)
		if err != nil {
			return nil, err
		}
		scope := jwt.NewUserScope()
		scope.Key, scope.Role = signer.public, name
		scope.Template.Permissions = jwtPermissions(user.permissions(options))
		keys.AddScopedSigner(scope)
	}
	return keys, nil
}

// sameAccount reports whether limits, signing keys and their permissions are the same.
func sameAccount(a, b *jwt.AccountClaims) (bool, error) {
	one, err := a.SigningKeys.MarshalJSON()
	if err != nil {
		return false, fmt.Errorf("comparing signing keys: %w", err)
	}
	other, err := b.SigningKeys.MarshalJSON()
	if err != nil {
		return false, fmt.Errorf("comparing signing keys: %w", err)
	}
	return bytes.Equal(one, other) && a.Limits.JetStreamLimits == b.Limits.JetStreamLimits, nil
}

// needsSigning reports whether a user has no JWT, or one that is due or has other permissions.
func (r *run) needsSigning(name string, user *User, wanted jwt.Permissions) (bool, error) {
	if user.JWT == "" {
		return true, nil
	}
	current, err := jwt.DecodeUserClaims(user.JWT)
	if err != nil {
		return false, fmt.Errorf("reading the JWT of user %s: %w", name, err)
	}
	switch same := reflect.DeepEqual(current.Permissions, wanted); {
	case same && !r.due(user):
		return false, nil
	case same:
		r.changed("user %s: renewed", name)
	default:
		r.changed("user %s: permissions changed", name)
	}
	return true, nil
}

// due reports whether a JWT expires soon, or expires later than it should from now on.
func (r *run) due(user *User) bool {
	if user.Expires.IsZero() {
		return r.options.Expires > 0
	}
	return r.options.Now.Add(r.options.RenewBefore).After(user.Expires)
}

func jwtPermissions(p Permissions) jwt.Permissions {
	claims := jwt.Permissions{
		Pub: jwt.Permission{Allow: p.Publish.Allow, Deny: p.Publish.Deny},
		Sub: jwt.Permission{Allow: p.Subscribe.Allow, Deny: p.Subscribe.Deny},
	}
	if len(claims.Pub.Allow) == 0 {
		claims.Pub.Allow = nil // as it is after decoding
	}
	if p.Responses != nil {
		claims.Resp = &jwt.ResponsePermission{MaxMsgs: p.Responses.Max, Expires: p.Responses.Expires}
	}
	return claims
}

// signAccount signs an account's JWT, unless it has one that says the same. The users in revoked must not log in any
// more.
func (r *run) signAccount(account *Account, revoked []*User) error {
	operator, err := readKey(r.state.Operator.Seed)
	if err != nil {
		return err
	}
	subject, err := readKey(account.Seed)
	if err != nil {
		return err
	}
	claims := jwt.NewAccountClaims(subject.public)
	claims.Name = account.Name
	if account.MaxFile > 0 {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{
			MemoryStorage: 1 << 20, DiskStorage: account.MaxFile, Streams: maxStreams, Consumer: maxConsumers,
		}
	}
	if claims.SigningKeys, err = account.scopes(); err != nil {
		return err
	}
	if account.JWT != "" {
		before, err := jwt.DecodeAccountClaims(account.JWT)
		if err != nil {
			return fmt.Errorf("reading the JWT of account %s: %w", account.Name, err)
		}
		same, err := sameAccount(before, claims)
		if err != nil || same && len(revoked) == 0 {
			return err
		}
		claims.Revocations = before.Revocations
		r.changed("account %s: changed", account.Name)
	}
	if err := r.revoke(claims, revoked); err != nil {
		return err
	}
	if account.JWT, err = claims.Encode(operator.pair); err != nil {
		return fmt.Errorf("signing account %s: %w", account.Name, err)
	}
	return nil
}

func (r *run) revoke(claims *jwt.AccountClaims, users []*User) error {
	for _, user := range users {
		gone, err := readKey(user.Seed)
		if err != nil {
			return err
		}
		claims.RevokeAt(gone.public, r.options.Now)
	}
	return nil
}

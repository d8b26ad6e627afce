package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

const (
	// minToken is the length of the shortest token in bytes. What is shorter can be guessed.
	minToken = 16
	// maxToken bounds a token, and maxPeople the files of the directory that are read.
	maxToken  = 1024
	maxPeople = 1000
	// maxTokenFile bounds the file of a token, which may have a byte order mark and line ends.
	maxTokenFile = 2 * maxToken
	// tokensKept is how long tokens work while their directory cannot be read, so that a moment logs nobody out, and
	// those that were taken back meanwhile do not work for ever.
	tokensKept = 5 * time.Minute
	// tokensInterval is how often the directory is read. The kubelet updates a mounted Secret within about a minute.
	tokensInterval = time.Second
)

// namePattern is what the name of a file with a token may be: the key of a Secret that can be shown as it is. The
// names of the kubelet's own files begin with a dot.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// maxNameLength bounds the name of a file with a token. A pattern with a bound would take memory from the start of
// every process.
const maxNameLength = 63

// Person is who has a token.
type Person struct {
	// Name is the name of the file without config.CommandsSuffix.
	Name string
	// Commands reports whether the person may send lines that begin with "/".
	Commands bool
	// key is the name of the file.
	key string
}

// tokenSet is the content of the directory at one moment.
type tokenSet struct {
	// tokens are the accepted tokens by the names of their files.
	tokens map[string]string
	// refused are the reasons why others are not accepted, "NAME: why", sorted.
	refused []string
	// problem is why the directory cannot be read, or "".
	problem string
}

// tokens are the tokens of the people who may log in. Use newTokens.
type tokens struct {
	dir     string
	log     *slog.Logger
	current atomic.Pointer[tokenSet]
	check   *status.Recorder
	// readAt is when the directory was read last, for run alone.
	readAt time.Time
}

func newTokens(dir string, log *slog.Logger) *tokens {
	t := &tokens{dir: dir, log: log, check: status.NewRecorder(status.TokensCheck, "reading the tokens")}
	t.read(time.Now())
	return t
}

// run reads the directory until ctx ends, so that a token works and stops working without a restart.
func (t *tokens) run(ctx context.Context) {
	for t.dir != "" && backoff.Sleep(ctx, tokensInterval) {
		t.read(time.Now())
	}
	<-ctx.Done()
}

func (t *tokens) read(now time.Time) {
	before := t.current.Load()
	set, err := readTokens(t.dir)
	switch {
	case err == nil:
		t.readAt = now
	case before != nil && len(before.tokens) > 0 && now.Sub(t.readAt) < tokensKept:
		set = &tokenSet{tokens: before.tokens, problem: err.Error() + "; those that were read before work until " +
			t.readAt.Add(tokensKept).UTC().Format(time.TimeOnly) + " UTC"}
	default:
		set = &tokenSet{problem: err.Error()}
	}
	t.current.Store(set)
	// It is OK whatever is wrong: the pages work for everybody else, and a pod that is not ready would not help.
	t.check.Set(true, status.ReasonReady, set.String())
	if before == nil || before.String() != set.String() {
		report := t.log.Info
		if set.problem != "" {
			report = t.log.Warn
		}
		report("tokens of the pages: " + set.String())
	}
}

// String says how many tokens are accepted, and which are refused and why.
func (s *tokenSet) String() string {
	text := fmt.Sprintf("%d people may log in", len(s.tokens))
	switch len(s.tokens) {
	case 0:
		text = "nobody may log in: there is no token that can be used"
	case 1:
		text = "1 person may log in"
	}
	if len(s.refused) > 0 {
		text += "; refused: " + strings.Join(s.refused, ", ")
	}
	if s.problem != "" {
		text += "; " + s.problem
	}
	return text
}

// readTokens returns what is in a directory. An absent one has no tokens: its Secret may be created later.
func readTokens(dir string) (*tokenSet, error) {
	set := &tokenSet{tokens: map[string]string{}}
	if dir == "" {
		return set, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return set, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the directory of tokens: %w", err)
	}
	holders := map[string][]string{} // names by token
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || entry.IsDir() {
			continue
		}
		token, problem := readToken(dir, name)
		if problem == "" && len(holders) >= maxPeople {
			problem = fmt.Sprintf("more than %d tokens", maxPeople)
		}
		if problem != "" {
			set.refused = append(set.refused, status.OneLine(name, maxShownName)+": "+problem)
			continue
		}
		holders[token] = append(holders[token], name)
	}
	for token, names := range holders {
		if len(names) == 1 {
			set.tokens[names[0]] = token
			continue
		}
		// Nobody could tell who has asked for a line.
		slices.Sort(names)
		set.refused = append(set.refused, strings.Join(names, " and ")+": the same token")
	}
	set.refuseSameNames()
	slices.Sort(set.refused)
	return set, nil
}

// refuseSameNames refuses the tokens of files that differ in config.CommandsSuffix alone. Both would be one person, who
// asks for lines and takes them back, but one of them might belong to somebody else.
func (s *tokenSet) refuseSameNames() {
	for _, key := range slices.Collect(maps.Keys(s.tokens)) {
		name, commands := strings.CutSuffix(key, config.CommandsSuffix)
		if _, found := s.tokens[name]; commands && found {
			delete(s.tokens, key)
			delete(s.tokens, name)
			s.refused = append(s.refused, name+" and "+key+": the same name")
		}
	}
}

// maxShownName bounds the name of a file in a message.
const maxShownName = 64

// readToken returns the token in a file, or what is wrong with it.
func readToken(dir, name string) (token, problem string) {
	if len(name) > maxNameLength || !namePattern.MatchString(name) || name == config.CommandsSuffix {
		return "", fmt.Sprintf("expected a name of at most %d letters, digits, '-', '_' and '.'", maxNameLength)
	}
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", "absent"
	case err != nil:
		return "", "cannot be read"
	case !info.Mode().IsRegular():
		return "", "not a file" // reading a pipe would wait for ever
	case info.Size() > maxTokenFile:
		return "", fmt.Sprintf("longer than %d characters", maxToken)
	}
	token, err = config.ReadSecret(path)
	token = strings.TrimSpace(token)
	switch {
	case errors.Is(err, config.ErrSecretAbsent):
		return "", "empty"
	case err != nil:
		return "", "cannot be read"
	case len(token) < minToken:
		return "", fmt.Sprintf("shorter than %d characters", minToken)
	case len(token) > maxToken:
		return "", fmt.Sprintf("longer than %d characters", maxToken)
	}
	return token, ""
}

// find returns who has a token. It compares with every token, whatever it finds, so that the time says nothing.
func (t *tokens) find(token string) (Person, bool) {
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	found := ""
	for name, expected := range t.current.Load().tokens {
		sum := sha256.Sum256([]byte(expected))
		if subtle.ConstantTimeCompare(given[:], sum[:]) == 1 {
			found = name
		}
	}
	return newPerson(found), found != ""
}

// tokenOf returns the token in the file of a name.
func (t *tokens) tokenOf(key string) (string, bool) {
	token, found := t.current.Load().tokens[key]
	return token, found
}

// any reports whether anybody may log in.
func (t *tokens) any() bool { return len(t.current.Load().tokens) > 0 }

func newPerson(key string) Person {
	name, commands := strings.CutSuffix(key, config.CommandsSuffix)
	return Person{Name: name, Commands: commands, key: key}
}

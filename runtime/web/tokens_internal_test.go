package web

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/config"
)

const aliceToken = "alice-has-this-token"

// writeTokens writes the files of a directory of tokens as the kubelet does: behind a link that is replaced.
func writeTokens(t *testing.T, dir string, content map[string]string) {
	t.Helper()
	inner, err := os.MkdirTemp(dir, "..version") //nolint:usetesting // it belongs into dir
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range content {
		if err := os.WriteFile(filepath.Join(inner, name), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)) // it may be there
	}
	link := filepath.Join(dir, "..new")
	if err := os.Symlink(inner, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
}

func TestTokensThatNobodyMayHaveAreRefusedByName(t *testing.T) {
	dir := t.TempDir()
	writeTokens(t, dir, map[string]string{
		"alice": aliceToken + "\n", "bob.commands": "bob-has-another-token", "carol": "short", "dave": "",
		"erin": "the-same-token-twice", "frank": "the-same-token-twice", "two words": "a-token-of-some-length",
		"gina": "gina-has-this-token", "gina.commands": "gina-has-that-token-too",
		"henry": strings.Repeat("x", maxTokenFile+1),
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := newTokens(dir, slog.New(slog.DiscardHandler))
	for token, want := range map[string]Person{
		aliceToken:              {Name: "alice", key: "alice"},
		"bob-has-another-token": {Name: "bob", Commands: true, key: "bob.commands"},
		"gina-has-this-token":   {}, "gina-has-that-token-too": {}, "short": {}, "": {},
		"the-same-token-twice": {}, "a-token-of-some-length": {}, "alice": {},
	} {
		got, found := read.find(token)
		if got != want || found != (want.Name != "") {
			t.Errorf("%q: %+v, want %+v", token, got, want)
		}
	}
	message := read.check.Check().Message
	for _, want := range []string{
		"2 people may log in", "carol: shorter than 16 characters", "dave: empty", "erin and frank: the same token",
		"two words: expected a name", "gina and gina.commands: the same name", "henry: longer than 1024 characters",
		"pipe: not a file",
	} {
		if !strings.Contains(message, want) {
			t.Errorf("the check lacks %q: %s", want, message)
		}
	}
	for _, secret := range []string{aliceToken, "the-same-token"} {
		if strings.Contains(message, secret) {
			t.Errorf("a token is in the message: %s", message)
		}
	}
}

func TestATokenThatIsReplacedEndsTheSessionsOfTheOldOne(t *testing.T) {
	dir := t.TempDir()
	writeTokens(t, dir, map[string]string{"alice": aliceToken})
	server := &Server{tokens: newTokens(dir, slog.New(slog.DiscardHandler))}
	alice, _ := server.tokens.find(aliceToken)
	now := time.Now()
	session := newSession(alice, aliceToken, now.Add(time.Hour))
	if person, known := server.personOfSession(session, now); !known || person != alice {
		t.Errorf("the session is %+v's", person)
	}
	if _, known := server.personOfSession(session, now.Add(2*time.Hour)); known {
		t.Error("the session outlives its expiry")
	}
	parts := strings.Split(session, ".")
	for _, forged := range []string{
		"", "..", parts[0] + "." + parts[1], parts[0] + ".99999999999." + parts[2], parts[0] + "." + parts[1] + ".",
		newSession(Person{key: "bob"}, aliceToken, now.Add(time.Hour)),
		newSession(alice, "another-token-of-length", now.Add(time.Hour)),
	} {
		if _, known := server.personOfSession(forged, now); known {
			t.Errorf("a forged session works: %q", forged)
		}
	}
	writeTokens(t, dir, map[string]string{"alice": "alice-has-a-new-token"})
	server.tokens.read(now)
	if _, known := server.personOfSession(session, now); known {
		t.Error("the session outlives its token")
	}
	if _, found := server.tokens.find(aliceToken); found {
		t.Error("the old token works")
	}
}

func TestTokensOfADirectoryThatCannotBeReadEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tokens")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	writeTokens(t, dir, map[string]string{"alice": aliceToken})
	var log strings.Builder
	read := newTokens(dir, slog.New(slog.NewTextHandler(&log, nil)))
	now := time.Now()
	read.read(now)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		after time.Duration
		works bool
		want  string
	}{
		{time.Second, true, "1 person may log in"}, {tokensKept - time.Second, true, "work until"},
		{tokensKept, false, "nobody may log in"}, {tokensKept + time.Second, false, "nobody may log in"},
	} {
		read.read(now.Add(test.after))
		message := read.check.Check().Message
		if _, found := read.find(aliceToken); found != test.works {
			t.Errorf("after %s the token works: %v", test.after, found)
		}
		if !strings.Contains(message, test.want) || !strings.Contains(message, "reading the directory of tokens") {
			t.Errorf("after %s the check says %q", test.after, message)
		}
	}
	if lines := strings.Count(log.String(), "level=WARN"); lines != 2 {
		t.Errorf("%d warnings, expected one for each change: %s", lines, log.String())
	}
}

func TestManyWrongTokensAreNotLookedAt(t *testing.T) {
	limits, now := newLoginLimits(), time.Now()
	for range wrongTokens {
		if !limits.mayTry("one", now) {
			t.Fatal("refused too early")
		}
		limits.wrong("one", now)
	}
	if limits.mayTry("one", now) {
		t.Error("an address may guess without end")
	}
	if !limits.mayTry("another", now) {
		t.Error("one address keeps another out")
	}
	if !limits.mayTry("one", now.Add(wrongTokensEvery)) {
		t.Error("the limit does not end")
	}
	limits.right("at home", now)
	for i := range allWrongTokens {
		limits.wrong(strconv.Itoa(i), now)
	}
	if limits.mayTry("a third", now) {
		t.Error("many addresses may guess without end")
	}
	if !limits.mayTry("at home", now) {
		t.Error("others keep out somebody who has a token")
	}
	for i := range 3 * maxAddresses {
		limits.wrong(strconv.Itoa(i), now)
	}
	if len(limits.addresses) > maxAddresses || !limits.mayTry("at home", now) {
		t.Errorf("%d addresses are remembered, and maybe not the right one", len(limits.addresses))
	}
}

func TestSafeNextStaysInside(t *testing.T) {
	for next, want := range map[string]string{
		"chat?day=2026-11-30": "chat?day=2026-11-30", "people/a%2Fb": "people/a%2Fb", "": "",
		"//evil.example": "", "/etc": "", "https://evil.example": "", `\\evil.example`: "", "../../x": "",
		"javascript:alert(1)": "", "chat\r\nSet-Cookie: a": "",
	} {
		if got := safeNext(next); got != want {
			t.Errorf("%q: %q, want %q", next, got, want)
		}
	}
}

func TestAccess(t *testing.T) {
	for _, test := range []struct {
		web                     config.Web
		loopback, known         bool
		readers, people, tokens bool
		process                 bool
	}{
		{web: config.Web{People: config.PeoplePublic}},
		{
			web: config.Web{People: config.PeoplePublic}, known: true, readers: true, people: true, tokens: true, process: true,
		},
		{web: config.Web{People: config.PeoplePublic}, loopback: true, readers: true, people: true, process: true},
		{web: config.Web{People: config.PeoplePublic, Public: true}, readers: true, people: true},
		{web: config.Web{People: config.PeopleTokensOnly, Public: true}, readers: true},
		{
			web: config.Web{People: config.PeopleTokensOnly}, known: true, readers: true, people: true, tokens: true,
			process: true,
		},
		{web: config.Web{People: config.PeopleOff, Public: true}, known: true, readers: true, tokens: true, process: true},
	} {
		server := &Server{options: Options{Config: test.web, Loopback: test.loopback}}
		request := requestOf(t, test.known)
		request.RemoteAddr = "127.0.0.1:4711"
		got := []bool{
			server.allows(ForAll, request), server.allows(ForReaders, request), server.allows(ForPeople, request),
			server.allows(ForTokens, request), server.allows(ForProcess, request),
		}
		for i, want := range []bool{true, test.readers, test.people, test.tokens, test.process} {
			if got[i] != want {
				t.Errorf("%+v: access %d is %v", test, i, got[i])
			}
		}
		request.Header.Set("X-Forwarded-For", "203.0.113.7")
		if !test.known && !test.web.Public && server.allows(ForReaders, request) {
			t.Errorf("%+v: somebody behind a proxy counts as one on this machine", test)
		}
	}
}

package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

// maxServerText is the length in characters up to which Server returns the names of hosts.
const maxServerText = 300

// readURL returns the settings of the URL in a file. The driver's errors quote the URL and so its password; those of
// readURL quote neither.
func readURL(urlFile string) (*pgxpool.Config, error) {
	text, err := config.ReadSecret(urlFile)
	if errors.Is(err, config.ErrSecretAbsent) {
		return nil, fmt.Errorf("%w: %w", store.ErrURLAbsent, err)
	}
	if err != nil {
		return nil, err
	}
	settings, problem := parseURL(text)
	if problem != "" {
		return nil, fmt.Errorf("%w: file %s: %s", store.ErrURLInvalid, urlFile, problem)
	}
	if settings.ConnConfig.ConnectTimeout == 0 {
		settings.ConnConfig.ConnectTimeout = connectTimeout
	}
	parameters := settings.ConnConfig.RuntimeParams
	parameters["application_name"] = cmp.Or(parameters["application_name"], "rosey")
	return settings, nil
}

// Server returns the server of the URL in a file as host:port, several of them separated by commas, and a socket by its
// directory. Names are as config.ShortHost returns them: it asks no DNS server. It is "" while the file has no URL, and
// for one in which a part of the password may have become the host.
func Server(urlFile string) string {
	text, err := config.ReadSecret(urlFile)
	if err != nil {
		return ""
	}
	settings, problem := parseURL(text)
	authority, rest := cutAuthority(text)
	if problem != "" || strings.Contains(rest, "@") && !strings.Contains(authority, "@") {
		return ""
	}
	// With some values of sslmode, each host is there twice.
	servers := []string{address(settings.ConnConfig.Host, settings.ConnConfig.Port)}
	for _, other := range settings.ConnConfig.Fallbacks {
		if one := address(other.Host, other.Port); !slices.Contains(servers, one) {
			servers = append(servers, one)
		}
	}
	return status.OneLine(strings.Join(servers, ","), maxServerText)
}

func address(host string, port uint16) string {
	if strings.HasPrefix(host, "/") {
		return host
	}
	return net.JoinHostPort(config.ShortHost(host), strconv.Itoa(int(port)))
}

// parseURL returns the settings of a URL, or what is wrong with it.
func parseURL(text string) (settings *pgxpool.Config, problem string) {
	const expected = "expected postgres://user:password@host:port/database"
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return nil, expected
	}
	// With a list of hosts it is no URL to net/url.
	parsed, err := url.Parse(firstHost(text))
	if err != nil || strings.Contains(parsed.EscapedPath(), "@") {
		// A part of the password may have become that of a host, so nothing of it can be shown.
		return nil, expected + ", with special characters of the password percent-encoded"
	}
	query := parsed.Query()
	settings, err = pgxpool.ParseConfig(text)
	if err != nil {
		problem = parameterProblem(err)
		for _, secret := range []string{passwordOf(parsed), query.Get("password"), query.Get("sslpassword")} {
			if secret != "" && strings.Contains(problem, secret) {
				return nil, expected
			}
		}
		return nil, cmp.Or(problem, expected)
	}
	// The driver ignores a file that it cannot read.
	if file := query.Get("passfile"); file != "" {
		if _, err := os.Stat(file); err != nil {
			return nil, "passfile: " + err.Error()
		}
	}
	return settings, ""
}

// firstHost returns a URL with the first of its hosts alone.
func firstHost(text string) string {
	authority, rest := cutAuthority(text)
	hosts := strings.LastIndex(authority, "@") + 1
	first, _, _ := strings.Cut(authority[hosts:], ",")
	return authority[:hosts] + first + rest
}

// cutAuthority cuts a URL behind its scheme, user, password and hosts.
func cutAuthority(text string) (before, after string) {
	start := strings.Index(text, "://") + len("://")
	if end := strings.IndexAny(text[start:], "/?#"); end >= 0 {
		return text[:start+end], text[start+end:]
	}
	return text, ""
}

func passwordOf(parsed *url.URL) string {
	password, _ := parsed.User.Password()
	return password
}

// parameterProblem returns what the driver says about a parameter, without the URL that comes before.
func parameterProblem(err error) string {
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); !ok {
		return ""
	}
	text := err.Error()
	end := strings.LastIndex(text, "`: ")
	if end < 0 {
		return ""
	}
	return status.OneLine(text[end+len("`: "):], 300)
}

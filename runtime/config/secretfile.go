package config

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ErrSecretAbsent says that a secret's file is not there or empty: its Secret may be made later.
var ErrSecretAbsent = errors.New("absent or empty")

// ReadSecret reads a secret's file without the line end that editors add. A source FILE#/pointer is a
// text inside a JSON or YAML file, by its JSON pointer (RFC 6901).
// It is read anew at every use, so that a rotated secret is taken up without a restart.
func ReadSecret(source string) (string, error) {
	data, err := os.ReadFile(source)
	if errors.Is(err, os.ErrNotExist) {
		if at := strings.LastIndex(source, "#/"); at >= 0 {
			return readSecretInside(source[:at], source[at+1:])
		}
		return "", fmt.Errorf("secret file %s: %w", source, ErrSecretAbsent)
	}
	if err != nil {
		return "", fmt.Errorf("reading secret file: %w", err)
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("secret file %s: %w", source, ErrSecretAbsent)
	}
	return secret, nil
}

func readSecretInside(file, pointer string) (string, error) {
	absent := fmt.Errorf("secret %s in file %s: %w", pointer, file, ErrSecretAbsent)
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", absent
	}
	if err != nil {
		return "", fmt.Errorf("reading secret file: %w", err)
	}
	content, err := readTree(data)
	if err != nil {
		return "", fmt.Errorf("secret file %s: %w", file, err)
	}
	switch secret := resolve(map[string]any(content), pointer).(type) {
	case nil:
		return "", absent
	case string:
		if secret == "" {
			return "", absent
		}
		return secret, nil
	default:
		return "", fmt.Errorf("secret %s in file %s: %s, expected text", pointer, file, called(secret))
	}
}

// resolve follows a JSON pointer. What is not there is nil.
func resolve(value any, pointer string) any {
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[unescape.Replace(token)]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(inner) {
				return nil
			}
			value = inner[i]
		default:
			return nil
		}
	}
	return value
}

package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// ErrSecretAbsent says that a secret's file is not there or empty: its Secret may be made later.
var ErrSecretAbsent = errors.New("absent or empty")

// ReadSecret reads a secret's file without the line end that editors add.
// It is read anew at every use, so that a rotated secret is taken up without a restart.
func ReadSecret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("secret file %s: %w", path, ErrSecretAbsent)
	}
	if err != nil {
		return "", fmt.Errorf("reading secret file: %w", err)
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("secret file %s: %w", path, ErrSecretAbsent)
	}
	return secret, nil
}

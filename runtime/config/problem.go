package config

import (
	"errors"
	"strings"
)

// KeyError says what is wrong with one setting. It never shows a secret.
type KeyError struct {
	// Key is the setting's path, for example "channel.name".
	Key string
	// Origin is where the value comes from if not from that key of a file: an environment variable, a
	// flag, or a key of a Rosey v2 file.
	Origin string
	// Problem is the value and what was expected.
	Problem string
}

// Error implements error.
func (e *KeyError) Error() string {
	if e.Origin == "" {
		return e.Key + ": " + e.Problem
	}
	return e.Key + " (from " + e.Origin + "): " + e.Problem
}

// origins says where values come from that do not stand in a file under their own key.
type origins map[string]string

// name adds the origin to the KeyErrors that are joined in err.
func (o origins) name(err error) error {
	var named []error
	for _, each := range split(err) {
		if problem, ok := errors.AsType[*KeyError](each); ok && problem.Origin == "" {
			each = &KeyError{Key: problem.Key, Origin: o.of(problem.Key), Problem: problem.Problem}
		}
		named = append(named, each)
	}
	return errors.Join(named...)
}

// of finds the origin of a key or of what it stands in.
func (o origins) of(key string) string {
	for {
		if origin, ok := o[key]; ok {
			return origin
		}
		end := strings.LastIndexAny(key, ".[")
		if end < 0 {
			return ""
		}
		key = key[:end]
	}
}

// split undoes errors.Join.
func split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, each := range joined.Unwrap() {
		all = append(all, split(each)...)
	}
	return all
}

package storetest

import (
	"regexp"
	"testing"

	"rosey.dev/rosey/runtime/store"
)

var randomUUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func identity(t *testing.T, s store.Store) {
	first := must[string](t)(s.Identity(t.Context()))
	if !randomUUID.MatchString(first) {
		t.Errorf("identity %q: expected a random UUID", first)
	}
	apply(t, s, said(1, "alice", "hi"))
	same(t, "the identity after a change", first, must[string](t)(s.Identity(t.Context())))
}

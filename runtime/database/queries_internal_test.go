package database

import (
	"strings"
	"testing"
)

// A service must accept every cursor that it has given, whatever publishers have chosen as IDs.
func TestACursorWithALongIDIsAccepted(t *testing.T) {
	t.Parallel()
	for _, character := range []string{"<", "&", `"`, `\\`, "é"} {
		given := place{At: maxCursorTime, ID: strings.Repeat(character, maxIDBytes/len(character)), Back: true}
		var read cursor
		if err := read.UnmarshalJSON([]byte(`"` + given.encode() + `"`)); err != nil || read.place != given {
			t.Errorf("%q: %+v, %v", character, read, err)
		}
	}
}

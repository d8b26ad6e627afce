package simulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// field is a key that an event's payload may have, and its types with commas between them, as CyTube's errors name
// them, "optional" among them.
type field struct{ key, types string }

// typecheck says in CyTube's words what is wrong with a payload.
func typecheck(payload json.RawMessage, fields []field) error {
	var object map[string]json.RawMessage
	if got := jsType(payload); got != "object" {
		return fmt.Errorf("Expected type object, got %s", got) //nolint:staticcheck // the real server's words
	}
	if err := json.Unmarshal(payload, &object); err != nil {
		return fmt.Errorf("decoding payload: %w", err)
	}
	known := []string{}
	for _, f := range fields {
		known = append(known, f.key)
		value, given := object[f.key]
		switch {
		case given && !strings.Contains(f.types, jsType(value)):
			//nolint:staticcheck // the real server's words
			return fmt.Errorf("Expected key %s to be of type %s, instead got %s", f.key, f.types, jsType(value))
		case !given && !strings.Contains(f.types, "optional"):
			return fmt.Errorf("Missing key: %s:%s", f.types, f.key) //nolint:staticcheck // see above
		}
	}
	for key := range object {
		if !slices.Contains(known, key) {
			return fmt.Errorf("Extra key: %s", key) //nolint:staticcheck // see above
		}
	}
	return nil
}

// jsType is what JavaScript calls the type of a value.
func jsType(value json.RawMessage) string {
	if len(value) == 0 {
		return "undefined"
	}
	switch value[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}

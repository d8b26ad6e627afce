package simulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// field is a key of an event's payload and its types, separated by commas as in CyTube's errors; "optional" may be one.
type field struct{ key, types string }

// typecheck returns CyTube's error for an invalid payload.
func typecheck(payload json.RawMessage, fields []field) error {
	var object map[string]json.RawMessage
	if got := jsType(payload); got != "object" {
		return fmt.Errorf("Expected type object, got %s", got) //nolint:staticcheck // the real server's text
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
			//nolint:staticcheck // the real server's text
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

// jsType returns the JavaScript type of a value.
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

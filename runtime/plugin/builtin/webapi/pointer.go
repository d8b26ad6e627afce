package webapi

import (
	"encoding/json"
	"strconv"
	"strings"
)

// unescapePointer replaces from left to right, so "~01" becomes "~1".
var unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")

// valueAt returns the text, number or truth value at a JSON Pointer (RFC 6901), and whether there is one.
func valueAt(document any, path string) (text string, exists bool) {
	if path != "" {
		for token := range strings.SplitSeq(path[1:], "/") {
			document = inside(document, unescapePointer.Replace(token))
		}
	}
	switch value := document.(type) {
	case string:
		return value, value != ""
	case json.Number:
		return value.String(), true
	case bool:
		return strconv.FormatBool(value), true
	}
	return "", false
}

// inside returns what an object or a list has at a key or an index. Nil: nothing.
func inside(document any, token string) any {
	switch value := document.(type) {
	case map[string]any:
		return value[token]
	case []any:
		index, err := strconv.Atoi(token)
		if err == nil && index >= 0 && index < len(value) && strconv.Itoa(index) == token {
			return value[index]
		}
	}
	return nil
}

package config

import "testing"

func TestEverySettingIsAKey(t *testing.T) {
	paths := map[string]bool{}
	for _, key := range Keys() {
		paths[key.Path] = true
	}
	for path := range settings {
		if !paths[path] {
			t.Errorf("the table has %s, which is not a field of Config", path)
		}
	}
}

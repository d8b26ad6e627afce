package promises

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStageOfAChangelog(t *testing.T) {
	t.Parallel()
	for changelog, want := range map[string]stage{
		"# Changelog\n\n## [0.1.0] - Unreleased\n":                                         beforeTheFirst,
		"## [0.1.0] - 2026-11-30\n":                                                        releasing,
		"## [0.2.0] - Unreleased\n\n### Added\n\n## [0.1.0] - 2026-11-30\n":                between,
		"## [0.2.0] - 2027-01-02\n## [0.2.0-rc.1] - 2027-01-01\n## [0.1.0] - 2026-11-30\n": releasing,
	} {
		if got, err := readStage(changelog); err != nil || got != want {
			t.Errorf("%q: stage %d, %v; want %d", changelog, got, err, want)
		}
	}
	for _, changelog := range []string{
		"", "## Unreleased\n", "## [0.1.0] - soon\n", "## [0.1.0] - 2026-11-30\n## [0.0.9] - Unreleased\n",
	} {
		if got, err := readStage(changelog); err == nil {
			t.Errorf("%q: stage %d, want an error", changelog, got)
		}
	}
}

func TestALostPromiseIsDetected(t *testing.T) {
	t.Parallel()
	promised, present := []string{"a", "b"}, []string{"b", "c"}
	for now, want := range map[stage][]string{
		beforeTheFirst: {`this version lacks "a": nothing is released, use -update`},
		between:        {`this version lacks "a", which a release has promised: see docs/promises.md`},
		releasing: {
			`this version lacks "a", which a release has promised: see docs/promises.md`,
			`the list lacks "c", which the release has: use -update`,
		},
	} {
		if diff := cmp.Diff(want, check(promised, present, now)); diff != "" {
			t.Errorf("stage %d (-want +got):\n%s", now, diff)
		}
	}
}

// With a removal, -update would otherwise hide what the test is for.
func TestAnUpdateRemovesNoPromise(t *testing.T) {
	t.Parallel()
	promised, present := []string{"a", "b"}, []string{"b", "c"}
	for now, want := range map[stage][]string{beforeTheFirst: {"b", "c"}, releasing: {"a", "b", "c"}} {
		if got, err := updated(promised, present, now); err != nil || !cmp.Equal(want, got) {
			t.Errorf("stage %d: %q, %v; want %q", now, got, err, want)
		}
	}
	if got, err := updated(promised, present, between); err == nil {
		t.Errorf("between releases: %q, want an error", got)
	}
}

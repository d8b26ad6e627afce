package chaos

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIntervals(t *testing.T) {
	a := []interval{{0, 10}, {20, 30}}
	for name, test := range map[string]struct{ got, want []interval }{
		"without the middle": {without(a, []interval{{3, 5}}), []interval{{0, 3}, {5, 10}, {20, 30}}},
		"without both ends":  {without(a, []interval{{5, 25}}), []interval{{0, 5}, {25, 30}}},
		"without more":       {without(a, []interval{{-1, 40}}), nil},
		"without a disjoint": {without(a, []interval{{10, 20}, {30, 40}}), a},
		"common":             {common(a, []interval{{5, 25}, {28, 40}}), []interval{{5, 10}, {20, 25}, {28, 30}}},
		"merged":             {merged([]interval{{20, 30}, {0, 10}, {5, 12}}, 7), []interval{{0, 12}, {20, 30}}},
		"merged over gaps":   {merged(a, 10), []interval{{0, 30}}},
	} {
		if diff := cmp.Diff(test.want, test.got, cmp.AllowUnexported(interval{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got := longest(a[:0]); got != (interval{}) {
		t.Errorf("the longest of none is %v", got)
	}
}

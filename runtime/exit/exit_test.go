package exit

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for _, test := range []struct {
		err  error
		code int
		text string
	}{
		{nil, Clean, ""},
		{Failed(nil), Clean, ""},
		{cause, Usage, "rosey: cause\n"},
		{Failed(cause), Failure, "rosey: cause\n"},
		{fmt.Errorf("copying: %w", Failed(cause)), Failure, "rosey: copying: cause\n"},
		{errors.Join(cause, Failedf("more: %w", cause)), Failure, "rosey: cause\n  more: cause\n"},
	} {
		var text bytes.Buffer
		if code := Report(&text, "rosey", test.err); code != test.code || text.String() != test.text {
			t.Errorf("%v: exit code %d and %q, want %d and %q", test.err, code, &text, test.code, test.text)
		}
	}
	if !errors.Is(Failed(cause), cause) {
		t.Error("the cause of a failure is not found")
	}
}

// Package platform has what operating systems do differently: locks of files, their owners, the space of a volume, and
// the end of a process with those that it has started.
// Services run on Linux. The program also runs on macOS and Windows, for one who runs a bot at home.
package platform

import "errors"

// ErrLocked is the error of a lock that another process, or another open file of this one, has.
var ErrLocked = errors.New("it is locked by another process")

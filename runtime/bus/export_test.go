package bus

import "time"

// SetRetry sets the time after which a decision for core NATS is made again.
func (b *Binding) SetRetry(retry time.Duration) { b.retry = retry }

package bus

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

const (
	// maxAnnouncements and maxAnnouncementBytes bound the announcements that nats.go keeps before they are read.
	maxAnnouncements     = 64
	maxAnnouncementBytes = 64 << 10
)

// SubscribeWaiting subscribes to Subjects.OutboundWaiting of a channel until the connection is closed. The channel that
// it returns gets a value when a line was announced; however many are announced before it is read, it is one value. It
// also gets one when the connection breaks or is established again, since an announcement may have been missed.
func SubscribeWaiting(conn *Conn, subjects Subjects, channel string) (<-chan struct{}, error) {
	waits := make(chan struct{}, 1)
	subject := subjects.OutboundWaiting(channel)
	subscription, err := conn.NATS().Subscribe(subject, func(*nats.Msg) {
		select {
		case waits <- struct{}{}:
		default: // nobody has looked since the last one
		}
	})
	if err == nil {
		err = subscription.SetPendingLimits(maxAnnouncements, maxAnnouncementBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("subscribing to %s: %w", subject, err)
	}
	conn.NotifyChange(waits)
	return waits, nil
}

package cli

import (
	"context"
	"errors"
	"fmt"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// ExportPerson calls show for everything that is stored about a user of the channel, until it fails.
func (c *Client) ExportPerson(ctx context.Context, name string, show func(bus.PeopleItem) error) error {
	for cursor := ""; ; {
		var reply bus.PeopleExportReply
		request := bus.PeopleExportRequest{Username: name, Cursor: cursor, Origin: c.origin}
		if err := c.request(ctx, bus.PeopleExport, request, &reply); err != nil {
			return err
		}
		if !reply.Success {
			return fmt.Errorf("the database service cannot answer: %s", status.OneLine(reply.Error, maxReplyError))
		}
		for _, item := range reply.Items {
			if err := show(item); err != nil {
				return err
			}
		}
		switch reply.Next {
		case "":
			return nil
		case cursor:
			return errors.New("the database service replies with the same part again")
		}
		cursor = reply.Next
	}
}

// ForgetPerson removes what is stored about a user of the channel.
func (c *Client) ForgetPerson(ctx context.Context, name string) (reply bus.PeopleForgetReply, err error) {
	err = c.request(ctx, bus.PeopleForget, bus.PeopleForgetRequest{Username: name, Origin: c.origin}, &reply)
	if err == nil && !reply.Success {
		err = fmt.Errorf("the database service cannot do it: %s", status.OneLine(reply.Error, maxReplyError))
	}
	return reply, err
}

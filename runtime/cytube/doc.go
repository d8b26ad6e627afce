// Package cytube is a client for a CyTube channel: frames in, typed events out.
//
// CyTube 3 speaks Engine.IO protocol 4 and Socket.IO protocol 5. The client opens a WebSocket at once,
// without the polling that browsers begin with, joins the channel, logs in, and then hands over what
// the server tells, in order and without leaving anything out.
package cytube

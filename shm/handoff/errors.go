// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/ringside-bpf/ringside/shm"
)

// What a client may be told.
var (
	// ErrNoSidecar means that nobody listens at the socket's path.
	ErrNoSidecar = errors.New("no sidecar")
	// ErrPermission means that the file system does not let this process
	// connect to the socket.
	ErrPermission = errors.New("permission denied")
	// ErrNoReply means that something accepted the connection and stayed silent.
	ErrNoReply = errors.New("socket accepts, no reply")
	// ErrHangup means that the sidecar has closed the connection or has died.
	ErrHangup = errors.New("sidecar hung up")
	// ErrProtocol means that the other side does not speak this protocol.
	ErrProtocol = errors.New("not the ringside protocol")

	// ErrNotAllowed means that no rule of the sidecar lets this user in.
	ErrNotAllowed = errors.New("not allowed")
	// ErrNotFound means that the sidecar has no ring or source of that name.
	ErrNotFound = errors.New("not found")
	// ErrBusy means that the sidecar or this user has too many connections.
	ErrBusy = errors.New("too many connections")
	// ErrTryAgain means that the ring is just being replaced.
	ErrTryAgain = errors.New("try again")
)

// What Listen may say.
var (
	// ErrLive means that another process listens at the socket's path.
	ErrLive = errors.New("socket is in use")
	// ErrNoDirectory means that the socket's directory does not exist.
	ErrNoDirectory = errors.New("no such directory")
	// ErrNotSocket means that the path is taken by something that is no socket.
	ErrNotSocket = errors.New("not a socket")
)

// Refusal is an error with a number. A Handler returns one to say which kind of
// no it means; a client receives what the sidecar said in the same form. The
// text names the thing, the cause and the remedy.
type Refusal struct {
	Errno syscall.Errno
	Text  string
}

// Refuse makes a Refusal.
func Refuse(errno syscall.Errno, format string, args ...any) *Refusal {
	return &Refusal{Errno: errno, Text: fmt.Sprintf(format, args...)}
}

func (r *Refusal) Error() string {
	if r.Text == "" {
		return r.Errno.Error()
	}
	return r.Text
}

// Is lets errors.Is see what the number means to a client.
func (r *Refusal) Is(target error) bool {
	switch target {
	case ErrNotAllowed:
		return r.Errno == syscall.EACCES || r.Errno == syscall.EPERM
	case ErrNotFound:
		return r.Errno == syscall.ENOENT
	case ErrBusy:
		return r.Errno == syscall.EUSERS
	case shm.ErrBarred:
		return r.Errno == syscall.EBUSY
	case ErrTryAgain:
		return r.Errno == syscall.EAGAIN
	case ErrProtocol:
		return r.Errno == syscall.EPROTO || r.Errno == syscall.EPROTONOSUPPORT
	}
	return false
}

// Unwrap gives the number, so that errors.Is(err, syscall.ENOENT) works too.
func (r *Refusal) Unwrap() error { return r.Errno }

package api

import (
	"errors"
	"fmt"
	"net/http"
)

// An ErrorCode says in one word what went wrong.
type ErrorCode string

// Error codes.
const (
	BadRequest  ErrorCode = "bad-request" // the request itself is malformed
	Forbidden   ErrorCode = "forbidden"   // the caller may not do this
	NotFound    ErrorCode = "not-found"   // no such subject or path
	BadMethod   ErrorCode = "bad-method"  // the path knows other methods
	Conflict    ErrorCode = "conflict"    // not now: the subject is in another state
	Refused     ErrorCode = "refused"     // the daemon will not: mode, limiter, suppression
	TooLarge    ErrorCode = "too-large"   // the request's body
	Busy        ErrorCode = "busy"        // too many followers, or the queue is full
	NotReady    ErrorCode = "not-ready"   // the daemon is starting or stopping
	OutOfTime   ErrorCode = "out-of-time" // the command did not end in time; it may still
	Unreachable ErrorCode = "unreachable" // the daemon does not answer; made by the client
	Internal    ErrorCode = "internal"    // a defect, or the machine is in trouble
)

var httpStatus = map[ErrorCode]int{
	BadRequest:  http.StatusBadRequest,
	Forbidden:   http.StatusForbidden,
	NotFound:    http.StatusNotFound,
	BadMethod:   http.StatusMethodNotAllowed,
	Conflict:    http.StatusConflict,
	Refused:     http.StatusUnprocessableEntity,
	TooLarge:    http.StatusRequestEntityTooLarge,
	Busy:        http.StatusTooManyRequests,
	NotReady:    http.StatusServiceUnavailable,
	OutOfTime:   http.StatusGatewayTimeout,
	Unreachable: http.StatusBadGateway,
	Internal:    http.StatusInternalServerError,
}

// An Error is what a caller is told when something did not work.
type Error struct {
	Code    ErrorCode `json:"code"`
	Message string    `json:"message"`        // what went wrong
	Mend    string    `json:"mend,omitempty"` // what to do about it
}

// Error returns the message and what to do.
func (e *Error) Error() string {
	if e.Mend == "" {
		return e.Message
	}
	return e.Message + " (" + e.Mend + ")"
}

// Status returns the HTTP status of e.
func (e *Error) Status() int {
	if s := httpStatus[e.Code]; s != 0 {
		return s
	}
	return http.StatusInternalServerError
}

// Errorf returns an Error with a formatted message.
func Errorf(code ErrorCode, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Try adds what the caller can do.
func (e *Error) Try(mend string) *Error { e.Mend = mend; return e }

// CodeOf returns the code of the *Error in err's chain, Internal when there is
// none, and "" for nil.
func CodeOf(err error) ErrorCode {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return Internal
}

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"shisa/ctl/event"
)

// BodyLimit bounds a request's body in bytes: a configuration with 16 384
// monitors of 200 bytes, and room.
const BodyLimit = 8 << 20

// valueLimit bounds one query parameter, listLimit the values in a list.
const (
	valueLimit = 256
	listLimit  = 64
)

type eventAnswer = event.Event

// eventParameters are those of an EventQuery.
var eventParameters = []string{"after", "since", "limit", "code", "severity", "subject"}

// A request is what a route's call sees of it.
type request struct {
	name  string // of {name} in the path
	query url.Values
	body  []byte
}

// newRequest reads the request, and refuses query parameters that the route
// does not know.
func newRequest(w http.ResponseWriter, r *http.Request, route Route) (*request, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, Errorf(BadRequest, "query: %v", err)
	}
	for key, values := range query {
		if !slices.Contains(route.Query, key) {
			return nil, Errorf(BadRequest, "unknown parameter %q", key).Try("use " + cmpOr(strings.Join(route.Query, ", "), "none"))
		}
		if len(values) > 1 || len(values[0]) > valueLimit {
			return nil, Errorf(BadRequest, "parameter %q is too long, or given twice", key)
		}
	}
	b, err := readBody(w, r, route)
	return &request{name: r.PathValue("name"), query: query, body: b}, err
}

// readBody reads all of the body within bodyTime.
func readBody(w http.ResponseWriter, r *http.Request, route Route) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if route.Body == nil {
		return nil, Errorf(BadRequest, "%s %s takes no body", route.Method, route.Path)
	}
	out := http.NewResponseController(w)
	out.SetReadDeadline(time.Now().Add(bodyTime)) //nolint:errcheck // a recorder has none
	defer out.SetReadDeadline(time.Time{})        //nolint:errcheck // the same
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, BodyLimit))
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		return nil, Errorf(TooLarge, "the request is larger than %d bytes", big.Limit)
	}
	if err != nil {
		return nil, Errorf(BadRequest, "body: %v", err)
	}
	return b, nil
}

func cmpOr(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// body decodes the body; an empty one is the zero value. Unknown fields are
// refused: a misspelt one would be ignored silently.
func body[T any](r *request) (T, error) {
	var v T
	if len(r.body) == 0 {
		return v, nil
	}
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	err := d.Decode(&v)
	if err == nil && d.More() {
		err = errors.New("more than one value")
	}
	if err != nil {
		return v, Errorf(BadRequest, "body: %v", err)
	}
	return v, nil
}

// eventQuery decodes the query parameters of an EventQuery.
func (r *request) eventQuery() (EventQuery, error) { return ParseEventQuery(r.query) }

// ParseEventQuery decodes what [FormatEventQuery] encodes. Lists are separated
// by commas; since is a time as RFC 3339 writes it.
func ParseEventQuery(v url.Values) (EventQuery, error) {
	var q EventQuery
	bad := func(key string, err error) (EventQuery, error) {
		return EventQuery{}, Errorf(BadRequest, "parameter %s: %v", key, err)
	}
	if s := v.Get("after"); s != "" {
		n, err := strconv.ParseUint(s, 10, 63)
		if err != nil {
			return bad("after", err)
		}
		q.After = n
	}
	if s := v.Get("since"); s != "" {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return bad("since", err)
		}
		q.Since = at
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err == nil && (n < 1 || n > event.MaxEvents) {
			err = errors.New("must be 1 to " + strconv.Itoa(event.MaxEvents))
		}
		if err != nil {
			return bad("limit", err)
		}
		q.Limit = n
	}
	if s := v.Get("severity"); s != "" {
		if err := q.Severity.UnmarshalText([]byte(s)); err != nil {
			return bad("severity", err)
		}
	}
	for key, to := range map[string]*[]string{"code": &q.Codes, "subject": &q.Subjects} {
		if s := v.Get(key); s != "" {
			if *to = strings.Split(s, ","); len(*to) > listLimit {
				return bad(key, errors.New("too many values"))
			}
		}
	}
	return q, nil
}

// FormatEventQuery encodes q as query parameters.
func FormatEventQuery(q EventQuery) url.Values {
	v := url.Values{}
	if q.After > 0 {
		v.Set("after", strconv.FormatUint(q.After, 10))
	}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Severity > event.Info {
		v.Set("severity", q.Severity.String())
	}
	if len(q.Codes) > 0 {
		v.Set("code", strings.Join(q.Codes, ","))
	}
	if len(q.Subjects) > 0 {
		v.Set("subject", strings.Join(q.Subjects, ","))
	}
	return v
}

// list makes an empty list of a nil one, so that JSON has no null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

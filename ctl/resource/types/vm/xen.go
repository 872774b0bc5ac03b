package vm

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A xenHost is a session with a XenServer or XCP-ng host: XML-RPC calls of the
// XenAPI.
type xenHost struct {
	params
	*https
	session string
	machine string // opaque reference
}

func (p params) connectXen(ctx context.Context) (host, error) {
	c, err := p.https("/")
	if err != nil {
		return nil, err
	}
	h := &xenHost{params: p, https: c}
	if h.session, err = h.text(ctx, "session.login_with_password", p.user, p.password); err != nil {
		c.close()
		return nil, err
	}
	if h.machine, err = h.find(ctx); err != nil {
		h.close(ctx)
		return nil, err
	}
	return h, nil
}

func (h *xenHost) find(ctx context.Context) (string, error) {
	if h.uuid != "" {
		return h.text(ctx, "VM.get_by_uuid", h.session, h.uuid)
	}
	v, err := h.call(ctx, "VM.get_by_name_label", h.session, h.vm)
	switch {
	case err != nil:
		return "", err
	case len(v.Array) == 0:
		return "", errAbsent
	case len(v.Array) > 1:
		return "", fmt.Errorf("%d virtual machines have this name: give the uuid", len(v.Array))
	}
	return v.Array[0].text(), nil
}

func (h *xenHost) state(ctx context.Context) (state, error) {
	power, err := h.text(ctx, "VM.get_power_state", h.session, h.machine)
	switch power {
	case "Running":
		return running, err
	case "Halted":
		return stopped, err
	case "Paused", "Suspended":
		return halted, err
	}
	return changing, err
}

func (h *xenHost) start(ctx context.Context) error {
	power, err := h.text(ctx, "VM.get_power_state", h.session, h.machine)
	if err != nil {
		return err
	}
	switch power {
	case "Paused":
		_, err := h.call(ctx, "VM.unpause", h.session, h.machine)
		return err
	case "Suspended":
		return h.task(ctx, "VM.resume")
	}
	return h.task(ctx, "VM.start")
}

// task has something done that may take longer than one answer, and waits for
// its end.
func (h *xenHost) task(ctx context.Context, method string) error {
	task, err := h.text(ctx, "Async."+method, h.session, h.machine, false, false)
	if err != nil {
		return err
	}
	defer func() { _, _ = h.call(ctx, "task.destroy", h.session, task) }() // it ends with the session's host, too
	for {
		status, err := h.text(ctx, "task.get_status", h.session, task)
		switch {
		case err != nil:
			return err
		case status == "success":
			return nil
		case status != "pending":
			why, err := h.call(ctx, "task.get_error_info", h.session, task)
			if err == nil {
				err = failure(why)
			}
			return fmt.Errorf("%s: %s: %w", method, status, err)
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return fmt.Errorf("%s is not done: %w", method, ctx.Err())
		}
	}
}

func (h *xenHost) shutdown(ctx context.Context) error {
	_, err := h.call(ctx, "Async.VM.clean_shutdown", h.session, h.machine)
	return err
}

func (h *xenHost) cut(ctx context.Context) error {
	_, err := h.call(ctx, "VM.hard_shutdown", h.session, h.machine)
	return err
}

func (h *xenHost) close(ctx context.Context) {
	_, _ = h.call(ctx, "session.logout", h.session) // an idle session ends by itself
	h.https.close()
}

// A value is one of XML-RPC; the kinds that are not needed are left out.
type value struct {
	Chars  string  `xml:",chardata"` // a value without a kind is text
	String *string `xml:"string"`
	Array  []value `xml:"array>data>value"`
	Struct []struct {
		Name  string `xml:"name"`
		Value value  `xml:"value"`
	} `xml:"struct>member"`
}

func (v value) text() string {
	if v.String != nil {
		return *v.String
	}
	return strings.TrimSpace(v.Chars)
}

func (v value) member(name string) value {
	for _, m := range v.Struct {
		if m.Name == name {
			return m.Value
		}
	}
	return value{}
}

// text calls a method that returns text.
func (h *xenHost) text(ctx context.Context, method string, args ...any) (string, error) {
	v, err := h.call(ctx, method, args...)
	return v.text(), err
}

// call calls a method; args are string or bool.
func (h *xenHost) call(ctx context.Context, method string, args ...any) (value, error) {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><methodCall>` + element("methodName", method) + "<params>")
	for _, a := range args {
		switch a := a.(type) {
		case string:
			b.WriteString("<param><value>" + element("string", a) + "</value></param>")
		case bool:
			bit := "0"
			if a {
				bit = "1"
			}
			b.WriteString("<param><value>" + element("boolean", bit) + "</value></param>")
		}
	}
	b.WriteString("</params></methodCall>")
	answer, status, err := h.post(ctx, []byte(b.String()), nil)
	if err != nil {
		return value{}, fmt.Errorf("%s: %w", method, err)
	}
	if status != http.StatusOK {
		return value{}, fmt.Errorf("%s: the host answers %d", method, status)
	}
	v, err := result(answer)
	if err != nil {
		return value{}, fmt.Errorf("%s: %w", method, err)
	}
	return v, nil
}

// result takes an answer apart.
func result(answer []byte) (value, error) {
	var r struct {
		XMLName xml.Name `xml:"methodResponse"`
		Values  []value  `xml:"params>param>value"`
		Fault   *value   `xml:"fault>value"`
	}
	switch err := xml.Unmarshal(answer, &r); {
	case err != nil:
		return value{}, fmt.Errorf("the host answers, but not as XenServer does: %w", err)
	case r.Fault != nil:
		return value{}, errors.New(r.Fault.member("faultString").text())
	case len(r.Values) != 1:
		return value{}, errors.New("the answer is empty")
	}
	v := r.Values[0]
	if v.member("Status").text() == "Success" {
		return v.member("Value"), nil
	}
	return value{}, failure(v.member("ErrorDescription"))
}

// failure turns the description of an error into one.
func failure(description value) error {
	var words []string
	for _, v := range description.Array {
		words = append(words, v.text())
	}
	if len(words) == 0 {
		return errors.New("the host does not say why")
	}
	switch words[0] {
	case "HANDLE_INVALID", "UUID_INVALID":
		return fmt.Errorf("%w: %s", errAbsent, strings.Join(words, " "))
	case "HOST_IS_SLAVE":
		return fmt.Errorf("it is not the master of its pool: set address to %s", strings.Join(words[1:], " "))
	}
	return errors.New(strings.Join(words, " "))
}

package api

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"shisa/ctl/monitor"
)

// A Messenger is the part of a [Backend] that takes messages from outside.
type Messenger interface {
	// Notify hands a message to the monitors that take it. None: NotFound.
	Notify(ctx context.Context, c NotifyCommand) (Result, error)
}

// A NotifyCommand tells monitors of type message of a failure that somebody
// outside has seen. Monitor or Category must be set.
type NotifyCommand struct {
	Monitor  string `json:"monitor,omitempty"`  // only this one, whatever its category and keyword
	Category string `json:"category,omitempty"` // at most monitor.CategoryLimit bytes
	Keyword  string `json:"keyword,omitempty"`  // at most monitor.KeywordLimit bytes
	Text     string `json:"text,omitempty"`     // for people; at most monitor.TextLimit bytes
	Clear    bool   `json:"clear,omitempty"`    // what was told before no longer holds
}

// Check returns what is wrong with c, nil when nothing is.
func (c NotifyCommand) Check() error {
	if c.Monitor == "" && c.Category == "" {
		return Errorf(BadRequest, "a message needs a category, or the monitor that it is for")
	}
	for _, part := range []struct {
		name, text string
		limit      int
	}{{"category", c.Category, monitor.CategoryLimit}, {"keyword", c.Keyword, monitor.KeywordLimit}, {"text", c.Text, monitor.TextLimit}} {
		switch {
		case len(part.text) > part.limit:
			return Errorf(TooLarge, "the %s has %d bytes, more than %d", part.name, len(part.text), part.limit)
		case !utf8.ValidString(part.text) || strings.ContainsFunc(part.text, unicode.IsControl):
			return Errorf(BadRequest, "the %s is not one line of text", part.name)
		}
	}
	return nil
}

// String returns the command in short, for the record.
func (c NotifyCommand) String() string {
	verb, what := "notify", c.Category
	if c.Clear {
		verb = "clear"
	}
	if c.Keyword != "" {
		what += "." + c.Keyword
	}
	if c.Monitor != "" {
		what = strings.TrimSpace("monitor " + c.Monitor + " " + what)
	}
	return fmt.Sprintf("%s %s", verb, what)
}

func notifyRoutes() []Route {
	return []Route{post("/v1/notify", "Tell monitors of type message of a failure, or that one is over.", QuickTime, Backend.Notify)}
}

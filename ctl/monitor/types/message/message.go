// Package message declares the monitor that waits for messages from outside:
// from a command, or as SNMP traps of a BMC.
//
// Traps come from the network, so the daemon, which is root, does not read
// them: it opens the port, and a process of its own without rights reads and
// takes apart what arrives there ([Receive]).
package message

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"shisa/ctl/monitor"
	"shisa/ctl/param"
)

type params struct {
	category  string
	keyword   string
	hold      time.Duration
	listen    string
	from      []string
	community string
	user      user // whose traps are taken; nobody: those of the community
	severity  string
	match     string

	sources []netip.Prefix // of from
}

// trapCategory is the category of a trap; its keyword is the address that it
// came from. Both are those of the original.
const trapCategory = "BMCNotice"

// Type fails when somebody outside says so.
var Type = monitor.Define(monitor.Spec[params]{
	Name:  "message",
	Alias: "mrw",
	Title: "Message from outside",
	Doc: "Fails when a message of its category and keyword arrives: by `shisa notify`, through the API, or as an SNMP trap of a BMC.\n\n" +
		"A message is noticed at once and is certain: no retry is awaited, and recovery takes one step for it, not one for each interval. " +
		"The monitor stays failed until `shisa notify --clear`, or until `hold` has passed. Only then do the counters of recovery begin anew, " +
		"so that three messages without a clear between them are three restarts of the target. What arrived before the monitor began to probe, " +
		"or while it was suspended, does not count.\n\n" +
		"With `trap_listen` it also takes SNMP traps (no informs) from the addresses in `trap_from`, as messages of category `BMCNotice` with " +
		"the sender's address as keyword: of versions 1 and 2c with the community, or with `trap_user` of version 3 alone, signed by that user. Platform event traps of a BMC are decoded, and judged by their severity; repeated ones and those that announce the " +
		"end of a condition do not count. Traps are read by a process without rights; more than it can take are dropped, and counted. " +
		"Senders and communities can be forged: let `trap_listen` be an address of the management network, and let the BMC sign its traps where it can.",
	Timing: monitor.Timing{Interval: 10 * time.Second, Timeout: 30 * time.Second},
	Params: declare,
	Takes:  func(p params, m monitor.Message) bool { return p.takes(m.Category, m.Keyword) },
	New: func(p params, env monitor.Env) (monitor.Prober, error) {
		if env.Mail == nil {
			return nil, fmt.Errorf("monitor %s: messages are not delivered here", env.Name)
		}
		if p.user == (user{Auth: p.user.Auth, Privacy: p.user.Privacy}) {
			p.user = user{} // nobody
		} else if err := p.user.check(); err != nil {
			return nil, fmt.Errorf("monitor %s: %w", env.Name, err)
		}
		return &prober{params: p, mail: env.Mail, seen: env.Mail.Latest(), wake: make(chan struct{}, 1)}, nil
	},
	Example: map[string]any{"category": "disk", "keyword": "sdb"},
})

// Severities of platform event traps from which a trap counts.
var severities = []string{"any", "warning", "critical", "fatal"}

func declare(p *params, s *param.Set) {
	s.String(&p.category, "category", "", `Category of the messages; "BMCNotice" for traps.`).Required().As("parameters/category").
		Check(p.limit(&p.category, monitor.CategoryLimit))
	s.String(&p.keyword, "keyword", "", "Keyword of the messages; empty: any.").As("parameters/keyword").
		Check(p.limit(&p.keyword, monitor.KeywordLimit))
	s.Duration(&p.hold, "hold", 0, 0, 30*24*time.Hour, "How long after the last message the monitor stays failed; 0s: until it is cleared.")
	s.String(&p.listen, "trap_listen", "", `Address and port at which SNMP traps are awaited, such as "192.0.2.1:162"; empty: none are.`).Port("udp").
		Check(func() error {
			if _, err := netip.ParseAddrPort(p.listen); p.listen != "" && err != nil {
				return fmt.Errorf(`%q is no address with port: write one such as "0.0.0.0:162"`, p.listen)
			}
			return nil
		})
	s.Strings(&p.from, "trap_from", nil, `Addresses and networks that traps are taken from, such as ["192.0.2.7", "10.1.0.0/16"].`).Check(p.parseSources)
	s.String(&p.community, "trap_community", "public", "Community that a trap must carry.").Secret()
	declareUser(&p.user, s)
	s.Choice(&p.severity, "trap_severity", "critical", severities, "Least severity of a platform event trap that counts; other traps have none and always count.")
	s.String(&p.match, "trap_match", "", "Text that must occur in the description of a trap, whatever the case of letters; empty: any.")
}

func declareUser(u *user, s *param.Set) {
	s.String(&u.Name, "trap_user", "", "User of SNMPv3 that must have signed a trap; empty: traps carry the community instead.")
	s.Choice(&u.Auth, "trap_auth", "sha256", names(authProtocols), "How the user signs.")
	s.String(&u.AuthPassword, "trap_auth_password", "", "Password with which the user signs, of 8 bytes or more.").Secret().
		Check(needs(&u.AuthPassword, func() bool { return u.Name != "" }, "trap_user"))
	s.Choice(&u.Privacy, "trap_privacy", noPrivacy, names(privacyProtocols), "How the user encrypts; one of whom encryption is wanted is not believed without.")
	s.String(&u.PrivacyPassword, "trap_privacy_password", "", "Password with which the user encrypts, of 8 bytes or more.").Secret().
		Check(needs(&u.PrivacyPassword, func() bool { return u.Privacy != noPrivacy }, "trap_privacy"))
}

// needs checks that text is given if and only if another key is.
func needs(text *string, wanted func() bool, key string) func() error {
	return func() error {
		switch {
		case wanted() && *text == "":
			return fmt.Errorf("%s needs it", key)
		case !wanted() && *text != "":
			return fmt.Errorf("without %s it says nothing", key)
		}
		return nil
	}
}

func (p *params) limit(text *string, limit int) func() error {
	return func() error {
		if len(*text) > limit {
			return fmt.Errorf("it has %d bytes, more than %d", len(*text), limit)
		}
		return nil
	}
}

func (p *params) parseSources() error {
	p.sources = nil
	for _, text := range p.from {
		prefix, err := netip.ParsePrefix(text)
		if addr, aerr := netip.ParseAddr(text); aerr == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf(`%q is neither an address nor a network such as "10.1.0.0/16"`, text)
		}
		p.sources = append(p.sources, prefix.Masked())
	}
	if p.listen != "" && len(p.sources) == 0 {
		return fmt.Errorf("trap_listen needs the addresses that traps may come from")
	}
	return nil
}

func (p *params) takes(category, keyword string) bool {
	return category == p.category && (p.keyword == "" || keyword == p.keyword)
}

// A prober remembers the message that holds.
type prober struct {
	params
	mail monitor.Mailbox
	wake chan struct{} // a trap has arrived

	mu       sync.Mutex
	seen     uint64           // latest message of mail that was looked at
	traps    []trap           // that were not looked at
	standing *monitor.Message // that the monitor has failed for; nil: none
	count    int              // of messages since standing was none
	listener *listener        // nil: none yet
}

// Probe implements monitor.Prober.
func (p *prober) Probe(ctx context.Context) (monitor.Finding, error) {
	if err := ctx.Err(); err != nil {
		return monitor.Finding{}, err
	}
	err := p.tune()
	p.mu.Lock()
	defer p.mu.Unlock()
	fresh := p.read(ctx)
	if s := p.standing; s != nil && p.hold > 0 && time.Since(s.At) >= p.hold {
		p.standing, p.count = nil, 0
	}
	switch {
	case p.standing != nil:
		return monitor.Finding{Verdict: monitor.Failed, Certain: true, Known: !fresh, Detail: describe(p.standing, p.count)}, nil
	case err != nil:
		return monitor.Finding{}, err
	}
	return monitor.Finding{Detail: "no message of " + p.subject() + " holds"}, nil
}

// read looks at what has arrived, and reports whether there is a failure among it.
func (p *prober) read(ctx context.Context) (fresh bool) {
	news := p.mail.Since(p.seen)
	for _, t := range p.traps {
		monitor.Logf(ctx, "trap from %v: %s", t.From, t.Text)
		if p.judge(t) {
			news = append(news, monitor.Message{At: t.At, From: t.From.String(), Category: trapCategory, Keyword: t.From.String(), Text: t.Text})
		}
	}
	p.traps = nil
	for _, m := range news {
		p.seen = max(p.seen, m.Seq)
		monitor.Logf(ctx, "message %s.%s from %s, clear %t: %s", m.Category, m.Keyword, m.From, m.Clear, m.Text)
		if m.Clear {
			p.standing, p.count, fresh = nil, 0, false
			continue
		}
		p.standing, fresh = &m, true
		p.count++
	}
	return fresh
}

func (p *prober) subject() string { return strings.TrimSuffix(p.category+"."+short(p.keyword), ".") }

// short cuts a keyword for people, who do not read a thousand bytes.
func short(text string) string {
	const limit = 80 // bytes
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

func describe(m *monitor.Message, count int) string {
	text := fmt.Sprintf("%s.%s from %s at %s", m.Category, short(m.Keyword), m.From, m.At.Format("15:04:05"))
	if m.Category == "" {
		text = fmt.Sprintf("message from %s at %s", m.From, m.At.Format("15:04:05"))
	}
	if m.Text != "" {
		text += ": " + m.Text
	}
	if count > 1 {
		text = fmt.Sprintf("%d messages, the last: %s", count, text)
	}
	return strings.ToValidUTF8(text[:min(len(text), monitor.DetailLimit)], "")
}

// Watch implements monitor.Watcher.
func (p *prober) Watch(ctx context.Context, changed func()) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.mail.WatchMail(ctx, changed) })
	for {
		select {
		case <-p.wake:
			changed()
		case <-ctx.Done():
			return nil
		}
	}
}

// judge reports whether a trap is a failure for this monitor.
func (p *prober) judge(t trap) bool {
	return p.takes(trapCategory, t.From.String()) && !t.Over && t.reaches(p.severity) &&
		strings.Contains(strings.ToLower(t.Text), strings.ToLower(p.match))
}

// trapsKept bounds the traps that wait for the next probe, which follows within
// fractions of a second.
const trapsKept = 64

// arrive takes a trap from the listener.
func (p *prober) arrive(t trap) {
	if !p.permits(t) {
		return
	}
	p.mu.Lock()
	if len(p.traps) < trapsKept {
		p.traps = append(p.traps, t)
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *prober) permits(t trap) bool {
	if p.user != (user{}) && t.User != p.user.id() || p.user == (user{}) && (t.User != "" || !sameSecret(t.Community, p.community)) {
		return false
	}
	return slices.ContainsFunc(p.sources, func(n netip.Prefix) bool { return n.Contains(t.From) })
}

// tune listens for traps if the monitor is to take any.
func (p *prober) tune() error {
	if p.listen == "" {
		return nil
	}
	p.mu.Lock()
	l := p.listener
	p.mu.Unlock()
	if l == nil {
		var err error
		if l, err = tuneIn(p.listen, p); err != nil {
			return err
		}
		p.mu.Lock()
		p.listener = l
		p.mu.Unlock()
	}
	return l.check()
}

// Close implements monitor.Closer.
func (p *prober) Close() error {
	p.mu.Lock()
	l := p.listener
	p.listener = nil
	p.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.leave(p)
}

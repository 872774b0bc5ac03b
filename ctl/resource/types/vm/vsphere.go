package vm

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A reference names an object of vSphere.
type reference struct {
	Type string `xml:"type,attr"`
	ID   string `xml:",chardata"`
}

// String writes r as an argument's value.
func (r reference) zero() bool { return r.ID == "" }

// A vsphereHost is a session with an ESXi host or a vCenter: SOAP calls of the
// vSphere Web Services API, which all versions since 5.0 answer.
type vsphereHost struct {
	params
	*https
	content struct { // of ServiceContent
		Root       reference `xml:"returnval>rootFolder"`
		Properties reference `xml:"returnval>propertyCollector"`
		Views      reference `xml:"returnval>viewManager"`
		Sessions   reference `xml:"returnval>sessionManager"`
		Search     reference `xml:"returnval>searchIndex"`
	}
	machine reference
}

func (p params) connectVSphere(ctx context.Context) (host, error) {
	c, err := p.https("/sdk")
	if err != nil {
		return nil, err
	}
	h := &vsphereHost{params: p, https: c}
	if err := h.logIn(ctx); err != nil {
		c.close()
		return nil, err
	}
	if h.machine, err = h.find(ctx); err != nil {
		h.close(ctx)
		return nil, err
	}
	return h, nil
}

func (h *vsphereHost) logIn(ctx context.Context) error {
	if err := h.call(ctx, "RetrieveServiceContent", reference{"ServiceInstance", "ServiceInstance"}, "", &h.content); err != nil {
		return err
	}
	return h.call(ctx, "Login", h.content.Sessions, element("userName", h.user)+element("password", h.password), nil)
}

// returned is the answer of a call that returns one object.
type returned struct {
	Value reference `xml:"returnval"`
}

// find finds the virtual machine.
func (h *vsphereHost) find(ctx context.Context) (reference, error) {
	var r returned
	switch {
	case h.uuid != "":
		if err := h.call(ctx, "FindByUuid", h.content.Search, element("uuid", h.uuid)+element("vmSearch", "true"), &r); err != nil {
			return r.Value, err
		}
	case strings.Contains(h.vm, "/"):
		if err := h.call(ctx, "FindByInventoryPath", h.content.Search, element("inventoryPath", h.vm), &r); err != nil {
			return r.Value, err
		}
	default:
		return h.findByName(ctx)
	}
	if r.Value.zero() || r.Value.Type != "VirtualMachine" {
		return r.Value, errAbsent
	}
	return r.Value, nil
}

// findByName looks through the names of all virtual machines; only one may have it.
func (h *vsphereHost) findByName(ctx context.Context) (found reference, err error) {
	var view returned
	args := argument("container", h.content.Root) + element("type", "VirtualMachine") + element("recursive", "true")
	if err := h.call(ctx, "CreateContainerView", h.content.Views, args, &view); err != nil {
		return found, err
	}
	defer func() { _ = h.call(ctx, "DestroyView", view.Value, "", nil) }() // it ends with the session
	objects, err := h.properties(ctx, view.Value, "VirtualMachine", "name", true)
	if err != nil {
		return found, err
	}
	n := 0
	for _, o := range objects {
		if o.value("name") == h.vm {
			found = o.Object
			n++
		}
	}
	switch n {
	case 0:
		return found, errAbsent
	case 1:
		return found, nil
	}
	return found, fmt.Errorf("%d virtual machines have this name: give the path in the inventory, or the uuid", n)
}

// An object is what RetrieveProperties tells of one.
type object struct {
	Object     reference `xml:"obj"`
	Properties []struct {
		Name  string `xml:"name"`
		Value struct {
			Text  string `xml:",chardata"`
			Inner string `xml:",innerxml"`
		} `xml:"val"`
	} `xml:"propSet"`
}

func (o object) value(name string) string {
	for _, p := range o.Properties {
		if p.Name == name {
			return strings.TrimSpace(p.Value.Text)
		}
	}
	return ""
}

// properties asks for properties, separated by blanks, of the objects of a
// type: of the one that from is, or of all in the view that it is.
func (h *vsphereHost) properties(ctx context.Context, from reference, kind, names string, isView bool) ([]object, error) {
	set := element("type", kind) + element("all", "false")
	for name := range strings.FieldsSeq(names) {
		set += element("pathSet", name)
	}
	objects := argument("obj", from) + element("skip", fmt.Sprint(isView))
	if isView {
		objects += `<selectSet xsi:type="TraversalSpec"><name>view</name><type>ContainerView</type><path>view</path><skip>false</skip></selectSet>`
	}
	args := "<specSet><propSet>" + set + "</propSet><objectSet>" + objects + "</objectSet></specSet>"
	var r struct {
		Objects []object `xml:"returnval"`
	}
	err := h.call(ctx, "RetrieveProperties", h.content.Properties, args, &r)
	return r.Objects, err
}

// property asks for one property of one object.
func (h *vsphereHost) property(ctx context.Context, of reference, name string) (string, error) {
	objects, err := h.properties(ctx, of, of.Type, name, false)
	if err != nil || len(objects) == 0 {
		return "", err
	}
	return objects[0].value(name), nil
}

func (h *vsphereHost) state(ctx context.Context) (state, error) {
	power, err := h.property(ctx, h.machine, "runtime.powerState")
	switch power {
	case "poweredOn":
		return running, err
	case "poweredOff":
		return stopped, err
	case "suspended":
		return halted, err
	}
	return changing, err
}

func (h *vsphereHost) start(ctx context.Context) error { return h.task(ctx, "PowerOnVM_Task") }
func (h *vsphereHost) cut(ctx context.Context) error   { return h.task(ctx, "PowerOffVM_Task") }
func (h *vsphereHost) shutdown(ctx context.Context) error {
	return h.call(ctx, "ShutdownGuest", h.machine, "", nil)
}

// task has something done to the virtual machine and waits for its end.
func (h *vsphereHost) task(ctx context.Context, method string) error {
	var r returned
	if err := h.call(ctx, method, h.machine, "", &r); err != nil {
		return err
	}
	for {
		objects, err := h.properties(ctx, r.Value, "Task", "info.state info.error", false)
		if err != nil {
			return err
		}
		if len(objects) == 0 {
			return fmt.Errorf("%s: the host knows nothing of it any more", method)
		}
		switch objects[0].value("info.state") {
		case "success":
			return nil
		case "error":
			return fmt.Errorf("%s: %s", method, reason(objects[0]))
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reason returns why a task has failed.
func reason(task object) string {
	for _, p := range task.Properties {
		var e struct {
			Message string `xml:"localizedMessage"`
		}
		if p.Name == "info.error" && xml.Unmarshal([]byte("<e>"+p.Value.Inner+"</e>"), &e) == nil && e.Message != "" {
			return e.Message
		}
	}
	return "the host does not say why"
}

func (h *vsphereHost) close(ctx context.Context) {
	_ = h.call(ctx, "Logout", h.content.Sessions, "", nil) // an idle session ends by itself
	h.https.close()
}

const soapHead = `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" ` +
	`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>`

// call calls a method of an object; args are XML. The answer goes to out; nil:
// it does not matter.
func (h *vsphereHost) call(ctx context.Context, method string, this reference, args string, out any) error {
	body := soapHead + "<" + method + ` xmlns="urn:vim25">` + argument("_this", this) + args + "</" + method + "></soapenv:Body></soapenv:Envelope>"
	answer, status, err := h.post(ctx, []byte(body), map[string]string{"SOAPAction": `"urn:vim25/5.0"`})
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	var e struct {
		Body struct {
			Fault *struct {
				Text string `xml:"faultstring"`
			}
			Inner []byte `xml:",innerxml"`
		}
	}
	if err := xml.Unmarshal(answer, &e); err != nil {
		return fmt.Errorf("%s: the host answers %d, and not as vSphere does: %w", method, status, err)
	}
	switch {
	case e.Body.Fault != nil && bytes.Contains(e.Body.Inner, []byte("ManagedObjectNotFound")):
		return fmt.Errorf("%s: %w", method, errAbsent)
	case e.Body.Fault != nil:
		return fmt.Errorf("%s: %s", method, e.Body.Fault.Text)
	case status != http.StatusOK:
		return fmt.Errorf("%s: the host answers %d", method, status)
	case out == nil:
		return nil
	}
	if err := xml.Unmarshal(e.Body.Inner, out); err != nil {
		return errors.Join(fmt.Errorf("%s: read the answer", method), err)
	}
	return nil
}

// element writes a text argument.
func element(name, text string) string {
	return "<" + name + ">" + escape(text) + "</" + name + ">"
}

// argument writes an object as an argument.
func argument(name string, r reference) string {
	return "<" + name + ` type="` + escape(r.Type) + `">` + escape(r.ID) + "</" + name + ">"
}

func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}

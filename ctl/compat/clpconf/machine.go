package clpconf

import "shisa/ctl/param"

// machine takes over where a virtual machine runs. The original has the same
// elements for all hypervisors, and some of them mean nothing to some of them.
func (i *importer) machine(t *table, n *Node) {
	at := func(name string) *Node { return i.find(n, "parameters/"+name) }
	kind, host, file := at("vmtype"), at("guestos/esxserverip"), at("vmconfigpath")
	hypervisor := ""
	if kind != nil {
		hypervisor = words["parameters/vmtype"][kind.Text]
	} else if host != nil && host.Text != "" {
		hypervisor = "vsphere"
		i.imply(t, "hypervisor", param.Literal(hypervisor))
		i.note(Attention, n, t.label+".hypervisor", "it does not say what the machine runs on; since it names a host, vSphere is taken")
	}
	switch hypervisor {
	case "vsphere", "xenserver":
		i.done(file, NotApplicable, "", "the host knows the machine by its name")
		i.note(Attention, n, t.label+".ca_file", "the certificate of the host is checked: name the authority's or the host's own with ca_file")
		if hypervisor == "xenserver" && (host == nil || host.Text == "") {
			i.imply(t, "address", `"localhost"`)
		}
	default:
		i.done(host, NotApplicable, "", "the libvirt of this server is asked")
	}
}

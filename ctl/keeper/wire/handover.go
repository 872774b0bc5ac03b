package wire

// A Handover is what one image of the keeper leaves to the next one when it is
// upgraded, together with the descriptors that it names.
type Handover struct {
	Listener int // descriptor of the listening socket
	State    State
	Orders   Orders
	Daemon   int // process id
	Witness  int // process id of the child that writes last words; 0: none
	FDs      []int
}

// Encode writes h. FDs has one descriptor for each guard of the orders; -1: none.
func (h *Handover) Encode() ([]byte, error) { return encode(h.code) }

// Decode reads h.
func (h *Handover) Decode(b []byte) error { return decode(b, h.code) }

func (h *Handover) code(c *codec) {
	version(c)
	number(c, &h.Listener)
	number(c, &h.State)
	h.Orders.code(c)
	number(c, &h.Daemon)
	number(c, &h.Witness)
	list(c, &h.FDs, number[int])
}

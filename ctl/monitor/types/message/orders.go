package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// ordersLimit bounds what a receiver is told at its start, in bytes: some
// hundred users.
const ordersLimit = 64 << 10

// order returns a socket from which a receiver reads the users and the port.
// They do not go by its arguments or environment, where others could read them.
func order(port *net.UDPConn, users []user) (*os.File, error) {
	text, err := json.Marshal(users)
	if err != nil {
		return nil, err
	}
	if len(text) > ordersLimit {
		return nil, fmt.Errorf("there are too many users: %d", len(users))
	}
	socket, err := port.File()
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(ends[0]) // the message stays
	in := os.NewFile(uintptr(ends[1]), "orders")
	if err := unix.Sendmsg(ends[0], text, unix.UnixRights(int(socket.Fd())), nil, unix.MSG_DONTWAIT); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

// orders reads what order has sent.
func orders(in *os.File) (port *net.UDPConn, users []user, err error) {
	text, rights := make([]byte, ordersLimit), make([]byte, unix.CmsgSpace(4))
	n, rn, _, _, err := unix.Recvmsg(int(in.Fd()), text, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("read the orders: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:rn])
	if err != nil || len(messages) != 1 {
		return nil, nil, errors.New("the orders came without the port")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, nil, errors.New("the orders came without the port")
	}
	socket := os.NewFile(uintptr(fds[0]), "port")
	defer socket.Close()
	conn, err := net.FilePacketConn(socket)
	if err != nil {
		return nil, nil, err
	}
	port, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, nil, errors.Join(errors.New("the port is no UDP socket"), conn.Close())
	}
	if err := json.Unmarshal(text[:n], &users); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read the orders: %w", err), port.Close())
	}
	return port, users, nil
}

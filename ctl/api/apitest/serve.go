package apitest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"shisa/ctl/api"
)

// Serve serves b on a socket until the test ends, and returns the socket. The
// server lets root in: the test is skipped for anybody else.
func Serve(t testing.TB, b api.Backend) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may talk to the server")
	}
	socket := filepath.Join(t.TempDir(), "api.sock")
	stop, err := Start(socket, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return socket
}

// Start serves b on socket until stop is called.
func Start(socket string, b api.Backend) (stop func() error, err error) {
	s, err := api.NewServer(b, api.Options{Socket: socket})
	if err != nil {
		return nil, err
	}
	l, err := s.Listen()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	return func() error { cancel(); return <-ended }, nil
}

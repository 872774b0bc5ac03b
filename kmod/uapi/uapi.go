// Package uapi is the interface of /dev/clpka in Go, made from the header
// kmod/include/clpka.h, which documents it. Structures have the kernel's layout:
// their address is what the ioctl takes.
package uapi

//go:generate go run ./gen ../include/clpka.h clpka.go

package cli

import (
	"testing"

	"shisa/ctl/api"
)

func TestLessNext(t *testing.T) {
	for id, less := range map[string]bool{
		"next-boot-unprotected": true, "next-boot-below-floor": true, "next-boot-unknown": false, "kernel-untried": false, "": false,
	} {
		d := api.Doctor{Checks: []api.Check{{Name: "boot loader", Level: api.LevelOK}, {ID: id, Level: api.LevelWarning}}}
		if err := lessNext(d); (err != nil) != less {
			t.Errorf("%q: %v", id, err)
		}
	}
}

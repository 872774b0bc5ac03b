package hwcompat

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

//go:embed data/*.toml
var data embed.FS

// A Matrix is everything in data/, decoded. It is read-only.
type Matrix struct {
	Kernels       Kernels
	Applications  Applications
	SNMP          SNMP
	JVM           JVM
	LoadBalancers LoadBalancers
	Servers       Servers
	OS            OSSupport
	Ports         Ports
	Services      Services
	Restrictions  Restrictions

	Platforms Platforms
	Daemons   Daemons
	Meanings  Meanings
}

// Kernels is kernels.toml.
type Kernels struct {
	Meta struct {
		Meta
		EntriesTotal int    `toml:"entries_total"`
		EntriesI686  int    `toml:"entries_i686"`
		EntriesX8664 int    `toml:"entries_x86_64"`
		NamesI686    int    `toml:"printed_kernel_names_i686"`
		NamesX8664   int    `toml:"printed_kernel_names_x86_64"`
		Mark         string `toml:"clpka_mark"`
	} `toml:"meta"`
	Notes []Note   `toml:"note"`
	Rows  []Kernel `toml:"kernel"`
}

// Applications is apps.toml.
type Applications struct {
	Meta  Meta          `toml:"meta"`
	Notes []Note        `toml:"note"`
	Rows  []Application `toml:"application"`
}

// SNMP is snmp.toml.
type SNMP struct {
	Meta    Meta    `toml:"meta"`
	Linkage Linkage `toml:"linkage"`
	Notes   []Note  `toml:"note"`
	Rows    []Agent `toml:"agent"`
}

// JVM is jvm.toml.
type JVM struct {
	Meta       Meta        `toml:"meta"`
	Conditions []Condition `toml:"condition"`
	Notes      []Note      `toml:"note"`
	Rows       []Java      `toml:"java"`
}

// LoadBalancers is loadbalancers.toml.
type LoadBalancers struct {
	Meta  Meta           `toml:"meta"`
	Notes []Note         `toml:"note"`
	Rows  []LoadBalancer `toml:"loadbalancer"`
}

// Servers is bmc_servers.toml.
type Servers struct {
	Meta struct {
		Meta
		Exhaustive bool   `toml:"exhaustive"`
		Note       string `toml:"note"`
	} `toml:"meta"`
	Rows []Server `toml:"server"`
}

// OSSupport is os_support.toml.
type OSSupport struct {
	Meta struct {
		Meta
		ServerI686     int `toml:"server_os_i686"`
		ServerX8664    int `toml:"server_os_x86_64"`
		WebManager     int `toml:"client_os_webmanager"`
		OfflineBuilder int `toml:"client_os_offline_builder"`
	} `toml:"meta"`
	Hardware []Hardware `toml:"hardware"`
	Sizes    []Size     `toml:"size"`
	Notes    []Note     `toml:"note"`
	Servers  []ServerOS `toml:"server_os"`
	Clients  []ClientOS `toml:"client_os"`
}

// Ports is ports.toml.
type Ports struct {
	Meta struct {
		Meta
		Chapter1     int   `toml:"rows_chapter1"`
		Chapter6     int   `toml:"rows_chapter6"`
		SpanChapter1 []int `toml:"section_lines_chapter1"`
		SpanChapter6 []int `toml:"section_lines_chapter6"`
	} `toml:"meta"`
	Rules       []PortRule `toml:"rule"`
	Differences []Note     `toml:"difference"`
	Rows        []Port     `toml:"port"`
}

// Services is services.toml.
type Services struct {
	Meta struct {
		Meta
		Services int `toml:"services"`
	} `toml:"meta"`
	Order     ServiceOrder `toml:"order"`
	Rows      []Service    `toml:"service"`
	Install   []Step       `toml:"install_step"`
	Update    []Step       `toml:"update_step"`
	Uninstall []Step       `toml:"uninstall_step"`
	Reinstall []Step       `toml:"reinstall_step"`
	Upgrade   []Step       `toml:"upgrade_to_clusterpro_x_step"`
	Notes     []Note       `toml:"note"`
}

// Restrictions is restrictions.toml.
type Restrictions struct {
	Meta     Meta           `toml:"meta"`
	Chapters map[string]int `toml:"chapter_counts"`
	Notes    []Note         `toml:"note"`
	Rows     []Restriction  `toml:"restriction"`
}

// Platforms is platforms.toml: our own rows.
type Platforms struct {
	Meta struct {
		Since       string `toml:"since"`
		RowsTotal   int    `toml:"rows_total"`
		Floor       string `toml:"kernel_floor"` // oldest Linux on which the control plane can run
		FloorSource string `toml:"kernel_floor_source"`
	} `toml:"meta"`
	Rows []Platform `toml:"platform"`
}

// Daemons is daemons.toml: programs of others that hold a watchdog or the BMC.
type Daemons struct {
	Rows []Daemon `toml:"daemon"`
}

// Meanings is meanings.toml: what became of each restriction.
type Meanings struct {
	Rows []Meaning `toml:"meaning"`
}

// Load returns the embedded matrix. It is decoded once; an error means that
// the binary was built from data that Lint refuses.
var Load = sync.OnceValues(func() (*Matrix, error) {
	sub, err := fs.Sub(data, "data")
	if err != nil {
		return nil, err
	}
	return Read(sub)
})

// Read decodes the data files in the root of fsys. Decoding is strict: a key
// that no struct knows is an error with file and line. All files are read, so
// the error may hold one message a file.
func Read(fsys fs.FS) (*Matrix, error) {
	m := new(Matrix)
	var errs []error
	for _, f := range []struct {
		name string
		into any
	}{
		{"kernels.toml", &m.Kernels},
		{"apps.toml", &m.Applications},
		{"snmp.toml", &m.SNMP},
		{"jvm.toml", &m.JVM},
		{"loadbalancers.toml", &m.LoadBalancers},
		{"bmc_servers.toml", &m.Servers},
		{"os_support.toml", &m.OS},
		{"ports.toml", &m.Ports},
		{"services.toml", &m.Services},
		{"restrictions.toml", &m.Restrictions},
		{"platforms.toml", &m.Platforms},
		{"daemons.toml", &m.Daemons},
		{"meanings.toml", &m.Meanings},
	} {
		if err := decode(fsys, f.name, f.into); err != nil {
			errs = append(errs, fmt.Errorf("decode %s: %w", f.name, err))
		}
	}
	return m, errors.Join(errs...)
}

func decode(fsys fs.FS, name string, into any) error {
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	md, err := toml.Decode(string(b), into)
	if err != nil {
		return err
	}
	if extra := md.Undecoded(); len(extra) > 0 {
		keys := make([]string, len(extra))
		for i, k := range extra {
			keys[i] = k.String()
		}
		return fmt.Errorf("unknown keys: %s", strings.Join(keys, ", "))
	}
	return nil
}
